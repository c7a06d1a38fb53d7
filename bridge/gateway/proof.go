package gateway

import (
	"net/http"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/dpop"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// checkProof holds a good access token against the way it was shown (RFC 9449 §7): one that is bound to
// a key comes by the DPoP scheme with a proof of that key and never as a bearer token, any other one the
// other way round.
func (x *exchange) checkProof(presented secret.Token, access token.Access, proven bool) *refusal {
	g := x.g
	switch bound := !access.ProofKey.IsZero(); {
	case bound && !proven:
		return x.at.invalidToken("invalid_token", "a bound token was shown as a bearer token") // EX-24
	case !bound && proven:
		return x.at.invalidToken("invalid_token", "a token that is bound to no key was shown with a proof")
	case !bound:
		return x.at.invalidToken("invalid_token", "only bound tokens are taken")
	}
	if nonce := g.Proofs.Nonce(); nonce != "" {
		x.w.Header()[dpop.FieldNonce] = []string{nonce}
	}
	proof, err := g.Proofs.Check(dpop.Request{
		Proofs: x.r.Header[dpop.FieldProof], Method: x.r.Method, URL: g.Issuer + x.r.URL.Path, Token: presented.Hash(),
	})
	if err == nil && proof.Key != access.ProofKey {
		return x.at.badProof(dpop.ErrorProof, "it is another key's")
	}
	if err == nil {
		err = g.Proofs.Use(x.r.Context(), proof)
	}
	if refused := bridge.AsError(err); refused != nil {
		detail := ""
		if refused.Cause != nil {
			detail = refused.Cause.Error()
		}
		return x.at.badProof(refused.Code, detail)
	}
	if err != nil {
		return unavailable("The bridge cannot write to its store at the moment", err)
	}
	return nil
}

// badProof refuses a proof, or asks for one with a nonce.
func (e *endpoint) badProof(code, detail string) *refusal {
	no := &refusal{
		status: http.StatusUnauthorized, code: jsonrpc.CodeServer, message: "The DPoP proof is not valid for this request",
		challenge: e.challenges.badProof, outcome: code, detail: detail,
	}
	if code == dpop.ErrorNonce {
		no.message, no.challenge = "The DPoP proof needs the nonce in the DPoP-Nonce field", e.challenges.wantNonce
	}
	return no
}
