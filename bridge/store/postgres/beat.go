package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The replica that leads counts a beat every so many seconds. A replica that has seen later ones than there are in the
// database by more than may be missing knows that it was put back to an earlier state, in which what was revoked since
// lives again. What a failover loses, to a standby that is no synchronous one, is less; and to a synchronous one nothing:
// what can be seen is on it.
const (
	beatEvery  = 10 * time.Second
	beatsShort = 6
)

// beats counts them until ctx ends. Where nothing can be written it is the first to notice.
func (s *Store) beats(ctx context.Context) {
	for {
		pause(ctx, beatEvery)
		if ctx.Err() != nil {
			return
		}
		s.wrote(s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
			_, err := conn.Exec(ctx, "update schema set beat = beat + 1")
			return err
		}))
	}
}

// join makes a new connection of the pool one that is durable, and of a database that is what it was. Where one is replaced
// by another no connection of before is left.
func (s *Store) join(ctx context.Context, conn *pgx.Conn) error {
	if err := durable(ctx, conn); err != nil {
		return err
	}
	var found schema
	if err := conn.QueryRow(ctx, "select version, copying, beat from schema").Scan(&found.version, &found.copying, &found.beat); err != nil {
		return err
	}
	return s.saw(found)
}

// saw takes what a database says of itself, and refuses one whose tables were changed since it was opened, that holds half
// a copy, or whose beat is too early.
func (s *Store) saw(found schema) error {
	if err := found.acceptable(s.how); err != nil {
		return err
	}
	for {
		last := s.beat.Load()
		switch {
		case found.beat < last-beatsShort:
			return fmt.Errorf("%w: it is at beat %d, and was at %d", errPutBack, found.beat, last)
		case found.beat <= last, s.beat.CompareAndSwap(last, found.beat):
			return nil
		}
	}
}

// stays is saw for whoever looks now and then: when the database became another one under open connections none is used again.
func (s *Store) stays(found schema) error {
	err := s.saw(found)
	if err != nil {
		s.pool.Reset()
	}
	return err
}
