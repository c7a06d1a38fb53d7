package protocol_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// OP-25: whoever is disabled at Trinity is out at the next refresh and within a minute or two of use, and every
// connection of theirs says why it ended. Others do not notice.
func TestDisabled_OP25(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	used, refreshed, others := b.Connect(t, client, alice), b.Connect(t, client, alice), b.Connect(t, client, b.Someone())
	suspend(t, b, true)
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, refreshed.Refresh)))
	b.Clock.Advance(2 * time.Minute) // of which the second is asked behind a call
	for token, want := range map[string]int{
		used.Access: http.StatusUnauthorized, refreshed.Access: http.StatusUnauthorized, others.Access: http.StatusOK,
	} {
		if got := b.Works(t, token); got != want {
			t.Errorf("a call answers %d, want %d", got, want)
		}
	}
	if got := b.Audited("grant_ended", "owner_suspended"); got != 2 {
		t.Errorf("%d connections ended because their owner was disabled, want 2", got)
	}
	suspend(t, b, false)
	wire{400, "invalid_grant"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, used.Refresh)))
	b.Token(t, b.RefreshForm(client, others.Refresh))
}
