package bridge

import (
	"errors"
	"fmt"
	"net/http"
)

// Store errors. Anything else a store returns means that nothing is known to be stored.
var (
	// ErrNotFound: no such row, or it is past its time.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the row changed since it was read (SwapSigningKeys), or it exists already (CreateClient).
	ErrConflict = errors.New("changed by somebody else")
	// ErrFull: a bound on the number of rows is reached; nothing was stored.
	ErrFull = errors.New("no room for another row")
	// ErrReadOnly: the store takes no writes at the moment (free-space floor, failed sync).
	ErrReadOnly = errors.New("the store takes no writes")
)

// Error is the one error type whose text may be shown to whoever sent the request.
//
// Code is an OAuth error code (RFC 6749 §4.1.2.1, §5.2, RFC 7591 §3.2.2, RFC 8707 §2) and is also
// what a page is chosen by. Cause is for the log only and never leaves the program. Anything that
// is not an *Error is answered as server_error with the request's reference.
type Error struct {
	Code        string // "invalid_grant"
	Description string // printable ASCII without quotes and backslashes (RFC 6749 §5.2)
	Status      int    // HTTP status where the answer is not a redirect; 0 means 400
	Cause       error
}

// Error returns code and description. The cause is left out on purpose: see Unwrap.
func (e *Error) Error() string {
	if e.Description == "" {
		return e.Code
	}
	return e.Code + ": " + e.Description
}

// Unwrap gives the cause to the log.
func (e *Error) Unwrap() error { return e.Cause }

// HTTPStatus is the status of a direct answer.
func (e *Error) HTTPStatus() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// Refuse makes an *Error with status 400.
func Refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

// AsError returns the *Error in err's chain, or nil.
func AsError(err error) *Error {
	e, _ := errors.AsType[*Error](err)
	return e
}
