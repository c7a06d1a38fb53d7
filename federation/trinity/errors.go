package trinity

import (
	"errors"
	"fmt"
	"time"
)

// What Trinity can answer. Everything that is none of the others is ErrUnavailable, so that an
// answer nobody foresaw never counts as a yes or as a definite no.
var (
	// ErrWrongCode: the code is wrong, expired or used, or the address may not sign in; Trinity
	// does not say which.
	ErrWrongCode = errors.New("wrong or expired code")
	// ErrSetupRequired: nobody has finished setting this Trinity up.
	ErrSetupRequired = errors.New("this Trinity is not set up yet")
	// ErrEmailDisabled: this Trinity has signing in by e-mail code turned off.
	ErrEmailDisabled = errors.New("sign-in by e-mail code is turned off at Trinity")
	// ErrNoSecondFactor: Trinity asked for a second factor but this build has no way to take one.
	ErrNoSecondFactor = errors.New("this Trinity cannot take the second factor")
	// ErrUnauthorized: Trinity refuses the session or key. It is definite: a proxy's own 401 is not one.
	ErrUnauthorized = errors.New("the credential is refused by Trinity")
	// ErrForbidden: the credential is good but may not do this; for revoking and minting it means
	// that only the person's own session may.
	ErrForbidden = errors.New("beyond what Trinity lets this credential do")
	// ErrUnavailable: nothing definite was learnt.
	ErrUnavailable = errors.New("no usable answer from Trinity")
)

// LockedOutError is Trinity's 429: too many tries, from this account or from this network.
type LockedOutError struct{ For time.Duration }

// Error says for how long.
func (e *LockedOutError) Error() string {
	return fmt.Sprintf("Trinity takes no tries for %d seconds", int(e.For.Seconds()))
}
