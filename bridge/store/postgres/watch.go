package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	pollEvery    = 500 * time.Millisecond
	answerWithin = time.Second // of the connection that listens; with pollEvery it makes the bound of 2 s
	manyChanged  = 1000        // grants, more of which at once are told as all of them
)

// changedSince asks which grants were changed by transactions that a look before did not see, however long they or others
// took. The look is named by what the server said of it. Grants that name a transaction that is still to come were loaded
// from another server's dump.
const changedSince = moment + `,
	array(select id from grants where changed >= pg_snapshot_xmin($1::text::pg_snapshot)
		and not pg_visible_in_snapshot(changed, $1::text::pg_snapshot) and changed < pg_snapshot_xmax(pg_current_snapshot())
		order by changed limit $2) from schema`

// moment is now at the server, and what the database says of itself.
const moment = "select pg_current_snapshot()::text, clock_timestamp(), version, copying, beat"

// ear is a connection that listens, and the last look for what it has not heard.
type ear struct {
	conn  *pgx.Conn
	since string
	clock clock
}

// listen tells watchers of what other replicas did to grants, until ctx ends.
func (s *Store) listen(ctx context.Context, first *ear) {
	for e := first; ; e = nil {
		err := s.hear(ctx, e)
		if ctx.Err() != nil {
			return
		}
		s.Tell("") // nobody knows what happens meanwhile
		s.log.WarnContext(ctx, "the changes of other replicas cannot be heard of; grants are read from the database each time", "error", err)
		pause(ctx, pollEvery)
	}
}

// hear listens on one connection until it fails; on a new one when e is nil.
func (s *Store) hear(ctx context.Context, e *ear) (err error) {
	if e == nil {
		if e, err = s.tune(ctx, answerWithin); err != nil {
			return err
		}
	}
	defer closeConn(ctx, e.conn)
	s.Tell("") // what was changed before this moment was perhaps not heard
	asked := time.Now()
	for {
		wait, cancel := context.WithDeadline(ctx, asked.Add(pollEvery))
		heard, err := e.conn.WaitForNotification(wait)
		late := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			s.Tell(heard.Payload)
		case ctx.Err() != nil:
			return nil
		case !late || e.conn.IsClosed():
			return err
		}
		if time.Since(asked) < pollEvery {
			continue
		}
		asked = time.Now()
		if err := s.poll(ctx, e); err != nil {
			return err
		}
	}
}

// tune makes the connection to listen on, which says that this replica is there as well.
func (s *Store) tune(ctx context.Context, within time.Duration) (*ear, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoConnection, err)
	}
	e := &ear{conn: conn}
	var present bool
	_, err = conn.Exec(ctx, "listen "+channel)
	if err == nil {
		err = conn.QueryRow(ctx, presenceLock).Scan(&present)
	}
	if err == nil {
		s.unnoticed.Store(!present)
		if !present {
			err = errCopied
		}
	}
	if err == nil {
		var server time.Time
		var found schema
		before := time.Now()
		if err = conn.QueryRow(ctx, moment+" from schema").Scan(&e.since, &server, &found.version, &found.copying, &found.beat); err == nil {
			err = s.stays(found)
		}
		e.clock.read(before, server, time.Now())
	}
	if err != nil {
		closeConn(ctx, conn)
		return nil, explain(err)
	}
	return e, nil
}

// poll tells of what was changed since it was asked last.
func (s *Store) poll(ctx context.Context, e *ear) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var changed [][]byte
	var server time.Time
	var found schema
	before := time.Now()
	row := e.conn.QueryRow(ctx, changedSince, e.since, manyChanged)
	if err := row.Scan(&e.since, &server, &found.version, &found.copying, &found.beat, &changed); err != nil {
		return err
	}
	if err := s.stays(found); err != nil {
		return err
	}
	e.clock.read(before, server, time.Now())
	s.warn(ctx, &e.clock)
	if len(changed) >= manyChanged {
		s.Tell("")
		return nil
	}
	for _, id := range changed {
		s.Tell(string(id))
	}
	return nil
}

const leadLock = "select pg_try_advisory_lock(hashtextextended(current_schema() || ' trinity-bridge lead', 0))"

const leadEvery = time.Second

// Lead runs work while this replica holds the lock of the one that leads.
func (s *Store) Lead(ctx context.Context, work func(context.Context)) {
	for ctx.Err() == nil {
		if err := s.stand(ctx, work); err != nil && ctx.Err() == nil {
			s.log.DebugContext(ctx, "not leading", "error", err)
		}
		pause(ctx, leadEvery)
	}
}

var errLeads = errors.New("another replica leads")

// stand tries to lead, and does until the connection that holds the lock is gone.
func (s *Store) stand(ctx context.Context, work func(context.Context)) error {
	within, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := pgx.ConnectConfig(within, s.config)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoConnection, err)
	}
	defer closeConn(ctx, conn)
	for {
		var leads bool
		if err := ask(ctx, conn, leadLock, &leads); err != nil {
			return err
		}
		if leads {
			break
		}
		pause(ctx, leadEvery)
		if ctx.Err() != nil {
			return errLeads
		}
	}
	s.log.InfoContext(ctx, "this replica leads")
	leading, end := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(leading)
	}()
	var beating sync.WaitGroup
	beating.Go(func() { s.beats(leading) })
	defer func() { end(); <-done; beating.Wait() }()
	for {
		pause(leading, leadEvery)
		var alive bool
		if err := ask(ctx, conn, "select true", &alive); err != nil {
			return err
		}
		select {
		case <-done:
			if ctx.Err() == nil {
				<-ctx.Done() // it has nothing more to do, and keeps others from beginning it again
			}
			return nil
		default:
		}
	}
}

func ask(ctx context.Context, conn *pgx.Conn, question string, answer *bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
	defer cancel()
	return conn.QueryRow(ctx, question).Scan(answer)
}

// closeConn says goodbye to the server, so that it lets go of what the connection held.
func closeConn(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	_ = conn.Close(ctx)
}
