package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// The bounds of a code verifier (RFC 7636 §4.1).
const (
	minVerifier = 43
	maxVerifier = 128
)

// errDeadCode is the one answer for every code that cannot be redeemed: it does not tell an
// unknown code from a wrong verifier (TK-29).
var errDeadCode = bridge.Refuse("invalid_grant", "The code is not valid for this request")

// redeem serves the code grant (OAuth 2.1 §4.1.3).
func (t *Token) redeem(ctx context.Context, request *tokenRequest) (tokenAnswer, string, error) {
	code := secret.New(request.form.get("code"))
	if code.IsZero() {
		return nil, "", bridge.Refuse(invalidRequest, "code is missing")
	}
	first, err := token.NewRefresh(rand.Reader)
	if err != nil {
		return nil, "", err
	}
	now := t.Now()
	outcome, grant, err := t.Grants.RedeemCode(ctx, bridge.CodeUse{
		Code: code.Hash(), ClientID: request.client.ID, RedirectURI: request.form.get("redirect_uri"),
		Challenge: challengeOf(request.form.get("code_verifier")), Resource: request.resource.URL,
		ProofKey: request.proofKey, BindRefresh: request.client.Public(),
		Refresh: first.Told(), RefreshIdle: t.Life.RefreshIdle, RefreshAbsolute: t.Life.RefreshAbsolute,
		AccessTokenLife: t.Life.AccessToken, ClientUnusedAfter: t.Life.ClientUnused,
	}, now)
	if err != nil {
		return nil, "", err
	}
	switch outcome {
	case bridge.CodeRedeemed:
	case bridge.CodeWrongTarget:
		return nil, grant.ID, bridge.Refuse("invalid_target", "The code was issued for another resource")
	case bridge.CodeReplayed:
		t.noteEnd(ctx, grant, bridge.EndCodeReplayed)
		return nil, grant.ID, errDeadCode
	case bridge.CodeMismatch, bridge.CodeExpired, bridge.CodeUnknown:
		return nil, grant.ID, errDeadCode
	}
	if !grant.Live() {
		return nil, grant.ID, errDeadCode // no store should answer so: fail closed
	}
	refresh := secret.Token{}
	if grant.Refresh {
		refresh = first.Of(grant.ID).Token()
	}
	return t.issue(ctx, request, grant, grant.Scopes, refresh)
}

// challengeOf is the S256 challenge of a well-formed verifier; "" otherwise, which matches
// nothing and is counted like any other wrong guess (TK-04).
func challengeOf(verifier string) string {
	if len(verifier) < minVerifier || len(verifier) > maxVerifier || strings.Trim(verifier, base64urlAlphabet+".~") != "" {
		return ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
