//go:build e2e

package foreign_test

import (
	"testing"
)

// visit is the person at their own connections, in a browser without a past.
func (e *employee) visit(t *testing.T, steps ...map[string]string) {
	t.Helper()
	page := e.idp
	page.cookies, page.visit = "", steps
	if last := chromiumWalk(t, e.bridge, page, true, e.bridge.URL+"/connections", e.email, ""); last["event"] != "visited" {
		t.Fatalf("the visit ended with %v", last)
	}
}

// AS-137: a person signs in through npm's oidc-provider to see what they connected with a real client, signs out there
// and comes back; the connection goes on, for it came of another session. The next time they end it, and it is over at
// once. All of it by keyboard, at Chromium.
func TestProvider_npm_AS137_connections(t *testing.T) {
	t.Parallel()
	e := employ(t, "alice", alice)
	const app = "An app on this computer It calls itself “go-sdk client”." // what the button is called to who cannot see it
	e.visit(t,
		map[string]string{"text": "It calls itself"}, map[string]string{"portray": "connections"},
		map[string]string{"press": "Sign out"}, map[string]string{"at": "button[name=logout][value=yes]"},
		map[string]string{"text": "has sent you back"}, map[string]string{"portray": "signed-out"},
	)
	if answer, err := e.call(t, "get_agent"); err != nil || answer.Username != e.email {
		t.Errorf("after signing out elsewhere the call ran as %q: %v", answer.Username, err)
	}
	e.visit(t,
		map[string]string{"open": "End all connections"}, map[string]string{"open": "Disconnect this account"}, map[string]string{"portray": "folded-out"},
		map[string]string{"press": "End this connection " + app},
		map[string]string{"text": "The connection has ended."}, map[string]string{"portray": "ended"},
	)
	e.wantOut(t, "revoked_by_person", false)
}
