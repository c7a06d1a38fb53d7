package consent_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/consent"
	"github.com/abilityai/trinity-bridge/templates"
)

// asking is the client of every request, or why it cannot be told.
type asking struct {
	client bridge.Client
	err    error
}

func (a *asking) Of(context.Context, bridge.AuthorizationRequest) (bridge.Client, error) {
	return a.client, a.err
}

func (a *asking) Describe(context.Context, bridge.AuthorizationRequest) templates.Client {
	return templates.Client{Name: a.client.Name}
}

func (a *asking) Keep(context.Context, bridge.Client) error { return errors.New("nobody got so far") }

// A client that is gone ends the sign-in; a store that does not answer ends nothing.
func TestStep_approve_client(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		asking asking
		want   int
	}{
		"blocked":    {asking{client: bridge.Client{Blocked: true}}, http.StatusGone},
		"gone":       {asking{err: clients.ErrUnknown}, http.StatusGone},
		"store down": {asking{err: errors.New("no answer")}, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			pages, err := templates.New(templates.Site{Issuer: issuer})
			if err != nil {
				t.Fatal(err)
			}
			(&consent.Step{
				Flows: d.flows, Clients: &tt.asking, Pages: pages, Trail: d.trail, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
				Resources: bridge.Resources{{URL: issuer + "/mcp", Scopes: bridge.AllScopes()}},
			}).Mount(d.router)
			begun := httptest.NewRecorder()
			asked, err := d.flows.Begin(begun, d.request(http.MethodGet, "/oauth/authorize", ""), bridge.AuthorizationRequest{Resource: issuer + "/mcp"})
			if err != nil {
				t.Fatal(err)
			}
			d.cookie = begun.Result().Cookies()[0]
			if d.visitor, err = d.flows.Update(t.Context(), asked.ID, func(f *bridge.Flow) error {
				f.Step, f.SignIn.Person = bridge.StepConsent, alice
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if answer := d.post("/consent", url.Values{"flow": {asked.ID}, "decision": {"approve"}}); answer.Code != tt.want {
				t.Errorf("%d, want %d:\n%s", answer.Code, tt.want, answer.Body)
			}
		})
	}
}
