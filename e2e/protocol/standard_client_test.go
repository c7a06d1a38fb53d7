package protocol_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// A client made of golang.org/x/oauth2 connects, and a resource server made of go-oidc's key set
// verifies what it got: two libraries that share no code with the program.
func TestStandardClient(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	registered := b.Register(t)
	cfg := oauth2.Config{
		ClientID: registered.ID, RedirectURL: bridgetest.Redirect, Scopes: []string{"trinity:read"},
		Endpoint: oauth2.Endpoint{AuthURL: b.URL + "/oauth/authorize", TokenURL: b.URL + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier := oauth2.GenerateVerifier()
	b.Secret(verifier)
	address, err := url.Parse(cfg.AuthCodeURL("a-state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("resource", b.MCP)))
	if err != nil {
		t.Fatal(err)
	}
	w := b.NewBrowser(t)
	b.SignIn(t, w, address.Query(), b.Someone())
	answer := b.Decide(t, w, "approve")
	tokens, err := cfg.Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	b.Secret(tokens.AccessToken, tokens.RefreshToken)
	if left := time.Until(tokens.Expiry); left < 59*time.Minute || left > time.Hour {
		t.Errorf("AS-086: the token expires in %s", left)
	}

	payload, err := oidc.NewRemoteKeySet(t.Context(), b.URL+"/oauth/jwks").VerifySignature(t.Context(), tokens.AccessToken)
	if err != nil {
		t.Fatalf("AS-017: the published keys do not verify the token: %v", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for claim, want := range map[string]any{"iss": b.URL, "aud": b.MCP, "client_id": registered.ID, "scope": "trinity:read"} {
		if claims[claim] != want {
			t.Errorf("AS-085 %s: %v, want %v", claim, claims[claim], want)
		}
	}
	for _, claim := range []string{"exp", "iat", "sub", "jti"} {
		if claims[claim] == nil {
			t.Errorf("AS-085: no %s", claim)
		}
	}

	tokens.Expiry = time.Now().Add(-time.Minute)
	refreshed, err := cfg.TokenSource(t.Context(), tokens).Token()
	if err != nil {
		t.Fatal(err)
	}
	b.Secret(refreshed.AccessToken, refreshed.RefreshToken)
	if refreshed.RefreshToken == tokens.RefreshToken {
		t.Error("AS-089: the refresh token did not change")
	}
	if got := b.Works(t, refreshed.AccessToken); got != http.StatusOK {
		t.Errorf("the refreshed token: %d", got)
	}
}
