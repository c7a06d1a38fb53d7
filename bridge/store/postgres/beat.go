package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// The replica that leads counts a beat every so many seconds. A replica that has seen later ones than there are in the
// database by more than may be missing knows that it was put back to an earlier state, in which what was revoked since
// lives again. What a failover loses, to a standby that is no synchronous one, is less; and to a synchronous one nothing:
// what can be seen is on it.
const (
	beatEvery  = 10 // times leadEvery
	beatsShort = 6

	readBeat = "(select beat from schema)"
)

// count counts a beat. Where it cannot, nothing can be written, and others say so.
func count(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
	defer cancel()
	_, _ = conn.Exec(ctx, "update schema set beat = beat + 1")
}

// join makes a new connection of the pool one that is durable, and of a database that was not put back: where one is, no
// connection of before is left.
func (s *Store) join(ctx context.Context, conn *pgx.Conn) error {
	if err := durable(ctx, conn); err != nil {
		return err
	}
	var beat int64
	if err := conn.QueryRow(ctx, "select "+readBeat).Scan(&beat); err != nil {
		return err
	}
	return s.saw(beat)
}

// saw takes a beat that was read, and refuses the database where it is too early.
func (s *Store) saw(beat int64) error {
	for {
		last := s.beat.Load()
		switch {
		case beat < last-beatsShort:
			return fmt.Errorf("%w: it is at beat %d, and was at %d", errPutBack, beat, last)
		case beat <= last, s.beat.CompareAndSwap(last, beat):
			return nil
		}
	}
}
