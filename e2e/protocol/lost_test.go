package protocol_test

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// TK-35: a client that is gone before it could read its answer gets the same refresh token again; a code whose answer
// was lost is spent, and using it again leaves nothing behind that anybody holds.
func TestToken_TK35_answerLost(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)

	tokens := b.Connect(t, client, b.Someone())
	form := b.RefreshForm(client, tokens.Refresh)
	sendOnly(t, b, form, "token_refreshed")
	next := b.Token(t, form)
	if again := b.Token(t, form); again.Refresh != next.Refresh {
		t.Error("another successor")
	}
	if got := b.Works(t, b.Token(t, b.RefreshForm(client, next.Refresh)).Access); got != http.StatusOK {
		t.Errorf("after the lost refresh: %d", got)
	}

	lost := b.RedeemForm(client, b.Code(t, client, b.Someone()))
	sendOnly(t, b, lost, "token_issued")
	wire{http.StatusBadRequest, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", lost))
	wait(t, func() bool { return liveKeys(b) == 1 }, "the key of the lost grant is revoked, the other one stays")
	grants, err := bridgetest.All(app.ListGrants(t.Context(), b.Data, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	live := 0
	for _, grant := range grants {
		if grant.Status == "live" {
			live++
		}
	}
	if len(grants) != 2 || live != 1 {
		t.Errorf("%d grants, %d of them live, want two and one", len(grants), live)
	}
}

// sendOnly sends a request to the token endpoint, waits until it was served and leaves without having read a byte.
func sendOnly(t *testing.T, b *bridgetest.Bridge, form url.Values, event string) {
	t.Helper()
	before := b.Audited(event, "")
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	request := b.Request(t, http.MethodPost, "/oauth/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	if err := request.Write(connection); err != nil {
		t.Fatal(err)
	}
	wait(t, func() bool { return b.Audited(event, "") > before }, event)
}
