package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	pollEvery    = 500 * time.Millisecond
	answerWithin = time.Second // of the connection that listens; with pollEvery it makes the bound of 2 s
	manyChanged  = 1000        // grants, more of which at once are told as all of them
)

// changedSince asks which grants transactions from a given one on have changed. A transaction that is
// not over, or not yet begun, at that moment is not before the one it answers with: what comes next is
// asked from there. Grants that were told once may be told again.
const changedSince = `select pg_snapshot_xmin(pg_current_snapshot())::text,
	array(select id from grants where changed >= $1::text::xid8 order by changed limit $2)`

// listen tells watchers of what other replicas did to grants, until ctx ends.
func (s *Store) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.hear(ctx)
		if ctx.Err() != nil {
			return
		}
		s.Tell("") // nobody knows what happens meanwhile
		s.log.WarnContext(ctx, "the changes of other replicas cannot be heard of; grants are read from the database each time", "error", err)
		pause(ctx, pollEvery)
	}
}

// hear listens on one connection until it fails.
func (s *Store) hear(ctx context.Context) error {
	conn, since, err := s.tune(ctx)
	if err != nil {
		return err
	}
	defer closeConn(ctx, conn)
	s.Tell("") // what was changed before this moment was perhaps not heard
	asked := time.Now()
	for {
		wait, cancel := context.WithDeadline(ctx, asked.Add(pollEvery))
		heard, err := conn.WaitForNotification(wait)
		late := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			s.Tell(heard.Payload)
		case ctx.Err() != nil:
			return nil
		case !late || conn.IsClosed():
			return err
		}
		if time.Since(asked) < pollEvery {
			continue
		}
		asked = time.Now()
		if since, err = s.poll(ctx, conn, since); err != nil {
			return err
		}
	}
}

// tune makes the connection to listen on.
func (s *Store) tune(ctx context.Context) (*pgx.Conn, string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.config)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errNoConnection, err)
	}
	var since string
	var present bool
	_, err = conn.Exec(ctx, "listen "+channel)
	if err == nil {
		err = conn.QueryRow(ctx, presenceLock).Scan(&present)
	}
	if err == nil && !present {
		err = errors.New("the database is being copied")
	}
	if err == nil {
		err = conn.QueryRow(ctx, "select pg_snapshot_xmin(pg_current_snapshot())::text").Scan(&since)
	}
	if err != nil {
		closeConn(ctx, conn)
	}
	return conn, since, err
}

// poll tells of what was changed since, and returns from where to ask the next time.
func (s *Store) poll(ctx context.Context, conn *pgx.Conn, since string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var next string
	var changed [][]byte
	if err := conn.QueryRow(ctx, changedSince, since, manyChanged).Scan(&next, &changed); err != nil {
		return since, err
	}
	if len(changed) >= manyChanged {
		s.Tell("")
		return next, nil
	}
	for _, id := range changed {
		s.Tell(string(id))
	}
	return next, nil
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
	defer func() { end(); <-done }()
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
