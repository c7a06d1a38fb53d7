package clients_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/templates"
)

// AS-137, CO-20: a connection is told by the name the person agreed to and by the host their answer went to, whatever
// its client says of itself now, or is gone; only what the operator vouches for is verified.
func TestDescribeGrant_AS137(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *clients.Options) {
		o.Configured = []bridge.Client{{ID: "house", Kind: bridge.ClientConfigured, Name: "House Client"}}
		o.Trust.Policy = clients.PolicyOff
	})
	registered := bridge.Client{
		ID: "registered", Kind: bridge.ClientRegistered, Name: "Claude, verified", RedirectURIs: []string{"https://evil.example/cb"},
		URI: "https://evil.example/", CreatedAt: h.Now(), UnusedUntil: h.Now().Add(time.Hour),
	}
	if err := h.store.CreateClient(t.Context(), registered, 10); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		grant bridge.Grant
		want  templates.Client
	}{
		{
			"registered, and renamed since",
			bridge.Grant{ClientID: "registered", ClientName: "Example App", Redirect: "https://app.example.com/cb"},
			templates.Client{Name: "Example App", RedirectHost: "app.example.com"},
		},
		{
			"gone",
			bridge.Grant{ClientID: "nobody", ClientName: "Example\u202e App", Redirect: "http://127.0.0.1:51234/cb"},
			templates.Client{Name: "Example App", RedirectHost: "127.0.0.1:51234", Loopback: true},
		},
		{
			"the operator's",
			bridge.Grant{ClientID: "house", ClientName: "Another name", Redirect: "https://app.example.com/cb"},
			templates.Client{Name: "House Client", Verified: true, RedirectHost: "app.example.com"},
		},
		{
			"a document that is taken no more",
			bridge.Grant{ClientID: "https://app.example.com/client.json", ClientName: "Example App", Redirect: "https://app.example.com/cb"},
			templates.Client{Name: "Example App", RedirectHost: "app.example.com", DocumentHost: "app.example.com"},
		},
		{"that no answer was given for", bridge.Grant{ClientID: "house"}, templates.Client{Name: "House Client", Verified: true}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, h.DescribeGrant(t.Context(), tt.grant)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if got := h.Describe(t.Context(), bridge.AuthorizationRequest{}); got != (templates.Client{Visit: true}) {
		t.Errorf("without a request: %+v", got)
	}
}

// counted counts what is read of clients.
type counted struct {
	bridge.ClientStore
	reads int
}

func (c *counted) Client(ctx context.Context, id string, now time.Time) (bridge.Client, error) {
	c.reads++
	return c.ClientStore.Client(ctx, id, now)
}

// A registration is read once while its time lasts; what the store has no more is gone here, too.
func TestClient_readOnce(t *testing.T) {
	t.Parallel()
	var store counted
	h := open(t, func(o *clients.Options) {
		store.ClientStore = o.Store
		o.Store = &store
	})
	registered := bridge.Client{
		ID: "registered", Kind: bridge.ClientRegistered, RedirectURIs: []string{"https://app.example.com/cb"},
		CreatedAt: h.Now(), UnusedUntil: h.Now().Add(time.Hour),
	}
	if _, err := h.Client(t.Context(), "registered"); !errors.Is(err, clients.ErrUnknown) {
		t.Fatalf("before it registers: %v", err)
	}
	if err := h.store.CreateClient(t.Context(), registered, 10); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got, err := h.Client(t.Context(), "registered")
		if diff := cmp.Diff(registered, got); err != nil || diff != "" {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
	}
	if store.reads != 2 {
		t.Errorf("%d reads", store.reads)
	}
	h.Advance(time.Hour)
	if _, err := h.Client(t.Context(), "registered"); !errors.Is(err, clients.ErrUnknown) {
		t.Errorf("past its time: %v", err)
	}
}
