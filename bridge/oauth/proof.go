package oauth

import (
	"context"
	"net/http"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/dpop"
)

// Proofs says what the direct endpoints do about DPoP (RFC 9449). The zero value: nothing.
type Proofs struct {
	Issuer   string        // the public origin, which proofs are made for (EX-28)
	Checker  *dpop.Checker // nil: DPoP is off, and no proof is looked at
	Required bool          // no token without
}

// errNoProof is for a client that takes, or is given, bound tokens only (RFC 9449 §5.2).
var errNoProof = bridge.Refuse(dpop.ErrorProof, "The request needs a DPoP proof")

// check judges the proof of a request; without one it returns the zero Proof. The answer carries the
// nonce that the next proof shall have.
func (p Proofs) check(w http.ResponseWriter, r *http.Request) (dpop.Proof, error) {
	lines := r.Header[dpop.FieldProof]
	if p.Checker == nil || len(lines) == 0 {
		return dpop.Proof{}, nil
	}
	if nonce := p.Checker.Nonce(); nonce != "" {
		w.Header().Set(dpop.FieldNonce, nonce)
	}
	return p.Checker.Check(dpop.Request{Proofs: lines, Method: r.Method, URL: p.Issuer + r.URL.Path})
}

// demanded reports whether a client gets nothing without a proof.
func (p Proofs) demanded(client bridge.Client) bool {
	return p.Required || p.Checker != nil && client.BoundTokens
}

// use uses up a proof, if there is one.
func (p Proofs) use(ctx context.Context, proof dpop.Proof) error {
	if proof.IsZero() {
		return nil
	}
	return p.Checker.Use(ctx, proof)
}

// paramProofKey names the key that a code will be bound to (RFC 9449 §10).
const paramProofKey = "dpop_jkt"

// named is the key that the parameter names, zero for none. While DPoP is off it is one of the
// parameters nobody knows.
func (p Proofs) named(parameter string) (bridge.Hash, error) {
	var key bridge.Hash
	if p.Checker == nil || parameter == "" {
		return key, nil
	}
	if !isDigest(parameter) || key.UnmarshalText([]byte(parameter)) != nil || key.IsZero() {
		return bridge.Hash{}, bridge.Refuse(invalidRequest, "dpop_jkt is not the SHA-256 thumbprint of a key")
	}
	return key, nil
}

// nameIn makes a proof beside a pushed request the dpop_jkt of it (RFC 9449 §10.1).
func (p Proofs) nameIn(params parameters, proof dpop.Proof) error {
	if proof.IsZero() {
		return nil
	}
	named, err := p.named(params.get(paramProofKey))
	if err != nil {
		return err
	}
	if !named.IsZero() && named != proof.Key {
		return bridge.Refuse(invalidRequest, "dpop_jkt and the DPoP proof name two keys")
	}
	params[paramProofKey] = []string{proof.Key.String()}
	return nil
}
