package protocol_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// TK-14, TK-15, AS-091: a client that renews before every request once its token is near its end, from two egress
// addresses at once, with an answer lost now and then and a restart in the middle, is never thrown out: both addresses
// get the same tokens' successor, calls work all the while, and the grant stays one.
func TestToken_TK14_beforeEveryRequest(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.TrustedProxies = "127.0.0.1" }))
	client := b.Register(t)
	tokens := b.Connect(t, client, alice)
	for round := range 30 {
		b.Clock.Advance(9 * time.Minute) // the whole of it is hours: each token dies on the way
		form := b.RefreshForm(client, tokens.Refresh)
		if round%5 == 4 {
			b.Token(t, form) // and the answer is lost
		}
		var both sync.WaitGroup
		got := make([]bridgetest.Tokens, 2)
		for i, address := range []string{"160.79.104.10", "160.79.106.35"} {
			both.Go(func() { got[i] = b.Token(t, form, "X-Forwarded-For", address) })
		}
		both.Wait()
		if got[0].Refresh != got[1].Refresh || got[0].Refresh == tokens.Refresh {
			t.Fatalf("round %d: two addresses got two successors, or none", round)
		}
		for _, each := range got {
			if status := b.Works(t, each.Access); status != http.StatusOK {
				t.Fatalf("round %d: %d", round, status)
			}
		}
		tokens = got[round%2]
		if round == 15 {
			b.Restart(t)
		}
	}
	if b.Audited("grant_ended", "") != 0 || liveKeys(b) != 1 {
		t.Error("the grant did not stay the one it was")
	}
}
