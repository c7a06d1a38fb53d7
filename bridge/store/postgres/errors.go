package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/abilityai/trinity-bridge/bridge"
)

var (
	errNoConnection = errors.New("no connection to the database")
	errCopied       = fmt.Errorf("the database is %w by whoever copies it, or ends all connections", ErrInUse)
	errPooled       = errors.New("the database is behind a pooler that gives each transaction another connection: name the server itself, or have the pooler give each session one")
	errPutBack      = errors.New("the database was put back to an earlier state, in which what was revoked since lives again: stop all replicas, then put the later one in its place or run trinity-bridge store accept-loss")
	errReadOnly     = errors.New("the database is read only")
	errOvertaken    = errors.New("a row was changed since it was read")
)

// The SQLSTATE codes that decide something here.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	uniqueViolation      = "23505"
	readOnlyTransaction  = "25006"
	diskFull             = "53100"
	noRight              = "42501"
	undefinedTable       = "42P01"
	preparedAlready      = "42P05"
	preparedNowhere      = "26000"
)

// again reports whether a transaction that failed so has changed nothing and may do better the next time.
func again(err error) bool {
	switch state(err) {
	case serializationFailure, deadlockDetected, uniqueViolation:
		return true
	case "":
		return errors.Is(err, errOvertaken) || pgconn.SafeToRetry(err) && !errors.Is(err, errNoConnection)
	}
	return false
}

// unknown reports whether a commit that failed so may have happened all the same: the server did not
// say that it refused, or says that it ends the connection, which it may do behind the commit.
func unknown(err error) bool {
	var refused *pgconn.PgError
	return !errors.As(err, &refused) || refused.SeverityUnlocalized != "ERROR"
}

// explain gives an error the name the domain has for it. Anything unnamed means that nothing is known
// to be stored, and passes when the database is back.
func explain(err error) error {
	switch state(err) {
	case "":
		return err
	case readOnlyTransaction, diskFull, noRight:
		return fmt.Errorf("%w: %w", bridge.ErrReadOnly, err)
	case preparedAlready, preparedNowhere:
		return fmt.Errorf("%w: %w", errPooled, err)
	case uniqueViolation:
		return fmt.Errorf("%w: %w", bridge.ErrConflict, err)
	}
	return fmt.Errorf("the database refused: %w", err)
}

func state(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}
