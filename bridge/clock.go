package bridge

import "time"

// Now is the machine's time by the millisecond, which is what stores keep in few bytes: the clock of the program where no other
// is given. It goes on as time.Now does when the machine's time is set.
func Now() time.Time {
	now := time.Now()
	return now.Add(-time.Duration(now.Nanosecond() % int(time.Millisecond)))
}
