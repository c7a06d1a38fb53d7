package protocol_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

const (
	firstSecret = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="
	nextSecret  = "hJ2yV0p1n3mQ8rT5wXz7bC9dE1fG4iK6lN0oP2sU3vY="
)

// OP-13: the master secret is exchanged under connections, sessions and a sign-in that is on its way.
// While both secrets are live everything goes on; when all is sealed anew the new one is enough, and the
// one before opens nothing.
func TestKeys_OP13_secretIsExchanged(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.Secret = firstSecret }))
	client := b.Register(t)
	tokens := b.Connect(t, client, alice)
	session := b.Session(t, tokens.Access)
	revoked := b.Connect(t, client, b.Someone())
	onItsWay := b.NewBrowser(t)
	b.SignIn(t, onItsWay, b.Query(client), b.Someone())

	b.Config.Secret, b.Config.SecretPrevious = nextSecret, firstSecret
	b.Restart(t)
	if answer := b.Tool(t, tokens.Access, session, "list_agents"); answer.Status != http.StatusOK {
		t.Errorf("the open session while both secrets are live: %d %s", answer.Status, answer.Body)
	}
	lost := b.RefreshForm(client, tokens.Refresh) // its answer
	tokens = b.Token(t, lost)
	late := b.Token(t, b.RedeemForm(client, b.Decide(t, onItsWay, "approve").Get("code")))
	last, anew, err := app.Reseal(t.Context(), b.Data)
	if err != nil || anew == 0 || last.Anew != 0 || last.Lost != 0 {
		t.Fatalf("sealing anew: %d values, then %+v, %v", anew, last, err)
	}

	b.Config.SecretPrevious = ""
	b.Restart(t)
	for _, access := range []string{tokens.Access, late.Access} {
		session := b.Session(t, access)
		if answer := b.Tool(t, access, session, "list_agents"); answer.Status != http.StatusOK {
			t.Errorf("a call under the new secret: %d %s", answer.Status, answer.Body)
		}
	}
	if answer := b.Tool(t, tokens.Access, session, "list_agents"); answer.Status != http.StatusNotFound {
		t.Errorf("a session id sealed under the secret before: %d, want 404 so that the client begins anew", answer.Status)
	}
	if again := b.Token(t, lost); again.Refresh != tokens.Refresh {
		t.Error("TK-15: the refresh whose answer was lost has another successor under the new secret")
	}
	b.Token(t, b.RefreshForm(client, tokens.Refresh))
	if got := b.Works(t, b.Connect(t, client, b.Someone()).Access); got != http.StatusOK {
		t.Errorf("a new connection: %d", got)
	}
	keys := liveKeys(b)
	wantRevoked(t, b.PostForm(t, "/oauth/revoke", url.Values{"client_id": {client.ID}, "token": {revoked.Refresh}}))
	wait(t, func() bool { return liveKeys(b) == keys-1 }, "a key that was sealed anew is revoked at Trinity")

	b.Stop(t)
	b.Config.Secret = firstSecret
	cfg, err := config.Load(b.Config, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.New(t.Context(), cfg, app.Options{}); err == nil || !strings.Contains(err.Error(), "not the one this store was made with") {
		t.Errorf("starting with the secret before came to %v", err)
	}
}
