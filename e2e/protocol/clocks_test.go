package protocol_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// OP-17: a provider whose clock is behind, or ahead by no more than the leeway, signs people in; one that is further
// ahead does not, and says so on a page. What the bridge has issued itself goes by its own clock and is not touched.
func TestSource_OP17_clocksDiffer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ahead  time.Duration
		enters bool
	}{
		"five minutes behind":     {-5 * time.Minute, true},
		"behind":                  {-bridge.Leeway, true},
		"ahead within the leeway": {bridge.Leeway - time.Second, true},
		"five minutes ahead":      {5 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, client, tokens := staff(t)
			c.idp.Now = func() time.Time { return c.Clock.Now().Add(tt.ahead) }
			w := c.NewBrowser(t)
			c.arrive(t, w, c.Query(client), "u1")
			if entered := w.URL.Path == "/consent" && w.Page.Status == http.StatusOK; entered != tt.enters {
				t.Errorf("the browser is at %s (%d)", w.URL, w.Page.Status)
			}
			if !tt.enters {
				wantSourcePage(t, w, http.StatusBadGateway, "company")
			}
			if !tt.enters && c.Audited("sign_in_failed", "") == 0 {
				t.Error("the audit does not say that somebody was refused")
			}
			c.works(t, tokens.Access, http.StatusOK)
			c.works(t, c.Token(t, c.RefreshForm(client, tokens.Refresh)).Access, http.StatusOK)
		})
	}
}
