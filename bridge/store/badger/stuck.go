package badger

import (
	"errors"
	"time"

	engine "github.com/dgraph-io/badger/v4"
)

// stuckAfter is how long opening may still take once the engine could not finish a merge.
const stuckAfter = 10 * time.Second

var errStuck = errors.New("the engine could not finish a merge, and waits for it; nothing is lost, and it may open when the program is started again")

// openOnce opens the engine, or gives up what would never end.
//
// When the engine (v4.9.6, levels.go, runCompactDef) cannot remove a table that it has merged, it does not tell whoever waits
// until there are fewer: the goroutine that writes out logs, and Open, when more are left than that one may be behind. What was
// given up keeps its lock until the process has ended.
func openOnce(opts Options) (*engine.DB, error) {
	type opened struct {
		db  *engine.DB
		err error
	}
	failed, done := make(chan struct{}, 1), make(chan opened, 1)
	go func() {
		db, err := engine.Open(engineOptions(opts).WithLogger(engineLog{to: opts.Logger, mergeFailed: failed}))
		done <- opened{db, err}
	}()
	var stuck <-chan time.Time
	for {
		select {
		case o := <-done:
			return o.db, o.err
		case <-failed:
			if stuck == nil {
				stuck = time.After(stuckAfter)
			}
		case <-stuck:
			return nil, errStuck
		}
	}
}
