package dpop

import (
	"context"
	"crypto"
	"errors"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/signed"
)

// The header fields, in the spelling of http.Header.
const (
	FieldProof = "Dpop"
	FieldNonce = "Dpop-Nonce"
)

// The error codes (RFC 9449 §5, §8).
const (
	ErrorProof = "invalid_dpop_proof"
	ErrorNonce = "use_dpop_nonce"
)

const (
	proofType = "dpop+jwt"
	// window is how far the iat of a proof may be from our clock. The clocks of people's computers are
	// off by minutes; that a proof is used once does not depend on it.
	window = 5 * time.Minute
)

// Checker checks proofs.
type Checker struct {
	Once   bridge.ReplayStore
	Nonces *Nonces // nil: a proof needs none
	Now    func() time.Time
}

// Request is what a proof is checked against.
type Request struct {
	Proofs []string // the lines of the DPoP field
	Method string
	// URL is the endpoint as clients know it, whatever host and scheme the request arrived with: behind a
	// proxy both are others (EX-28).
	URL string
	// Token is the hash of the access token beside the proof; zero where there is none to be beside.
	Token bridge.Hash
}

// Proof is a proof that was checked and not yet used.
type Proof struct {
	Key bridge.Hash // thumbprint of the key that made it: the jkt of RFC 9449 §6.1

	id    string
	until time.Time
}

// IsZero reports whether there is no proof.
func (p Proof) IsZero() bool { return p.Key.IsZero() }

// claims are those of RFC 9449 §4.2.
type claims struct {
	ID       string          `json:"jti"`
	Method   string          `json:"htm"`
	URL      string          `json:"htu"`
	IssuedAt *signed.Seconds `json:"iat"`
	Token    string          `json:"ath"`
	Nonce    string          `json:"nonce"`
}

// Check judges the proof of a request (RFC 9449 §4.3) and asks nobody for it. The error is a
// *bridge.Error with ErrorProof or ErrorNonce, whose cause says more to the log.
func (c *Checker) Check(r Request) (Proof, error) {
	if len(r.Proofs) != 1 {
		return Proof{}, refuse(errors.New("there is not exactly one DPoP field"))
	}
	token, err := signed.Read(r.Proofs[0])
	if err != nil {
		return Proof{}, refuse(err)
	}
	if token.Type() != proofType {
		return Proof{}, refuse(errors.New("it is another type of token"))
	}
	key, err := token.Key()
	if err != nil {
		return Proof{}, refuse(err)
	}
	if !token.SignedBy(key) {
		return Proof{}, refuse(errors.New("it is not signed with its key"))
	}
	var said claims
	if err := token.Claims(&said); err != nil {
		return Proof{}, refuse(err)
	}
	if err := c.judge(said, r); err != nil {
		return Proof{}, refuse(err)
	}
	if c.Nonces != nil && !c.Nonces.good(said.Nonce) {
		return Proof{}, &bridge.Error{Code: ErrorNonce, Description: "The DPoP proof needs the nonce in the DPoP-Nonce field"}
	}
	thumbprint, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return Proof{}, refuse(err)
	}
	return Proof{Key: bridge.Hash(thumbprint), id: said.ID, until: said.IssuedAt.Time().Add(window)}, nil
}

// judge says what is wrong with the claims, or returns nil.
func (c *Checker) judge(said claims, r Request) error {
	now := c.Now()
	switch {
	case said.ID == "" || len(said.ID) > signed.MaxID:
		return errors.New("it has no usable jti")
	case said.Method != r.Method:
		return errors.New("it was made for another method")
	case !sameAddress(said.URL, r.URL):
		return errors.New("it was made for another address")
	case said.IssuedAt == nil:
		return errors.New("it does not say when it was made")
	case !now.Before(said.IssuedAt.Time().Add(window)):
		return errors.New("it was made too long ago")
	case said.IssuedAt.Time().After(now.Add(window)):
		return errors.New("it was made in the future")
	case !r.Token.IsZero() && said.Token != r.Token.String():
		return errors.New("it was made for another token")
	}
	return nil
}

// Use uses up a checked proof. A *bridge.Error says that it was used before; any other error is the
// store's, and nothing is known.
func (c *Checker) Use(ctx context.Context, p Proof) error {
	// Remembered for longer than any replica takes it for recent.
	first, err := c.Once.UseOnce(ctx, "dpop "+p.Key.String(), p.id, p.until.Add(bridge.Leeway), c.Now())
	if err != nil {
		return err
	}
	if !first {
		return refuse(errors.New("it was used before"))
	}
	return nil
}

// Nonce is the nonce to send along, or "".
func (c *Checker) Nonce() string {
	if c.Nonces == nil {
		return ""
	}
	return c.Nonces.Current()
}

// refuse is the one answer for every proof that is not good. Why is for the log.
func refuse(cause error) error {
	return &bridge.Error{Code: ErrorProof, Description: "The DPoP proof is not valid for this request", Cause: cause}
}
