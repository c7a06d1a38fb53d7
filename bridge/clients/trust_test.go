package clients_test

import (
	"errors"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
)

// AS-113: the operator's word.
func TestIdentify_AS113_trust(t *testing.T) {
	t.Parallel()
	pinnedID := "https://pinned.internal/client.json"
	pinned, err := clients.ReadDocument(pinnedID, described(with{"client_id": pinnedID, "client_name": "Pinned"}))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name            string
		trust           clients.Trust
		fetched, pinned error
	}{
		{"open", clients.Trust{Policy: clients.PolicyOpen}, nil, nil},
		{"open, host blocked", clients.Trust{Policy: clients.PolicyOpen, Blocked: []string{"app.example.com"}}, clients.ErrNotAllowed, nil},
		{"open, id blocked", clients.Trust{Policy: clients.PolicyOpen, Blocked: []string{documentID}}, clients.ErrNotAllowed, nil},
		{"open, all below blocked", clients.Trust{Policy: clients.PolicyOpen, Blocked: []string{"*.example.com"}}, clients.ErrNotAllowed, nil},
		{"open, others blocked", clients.Trust{Policy: clients.PolicyOpen, Blocked: []string{"example.com", "*.app.example.com", "evil-app.example.com", documentID + "x"}}, nil, nil},
		{"open, pinned one blocked", clients.Trust{Policy: clients.PolicyOpen, Blocked: []string{"pinned.internal"}}, nil, clients.ErrNotAllowed},
		{"ask", clients.Trust{Policy: clients.PolicyAsk}, clients.ErrAskOperator, nil},
		{"ask, let in", clients.Trust{Policy: clients.PolicyAsk, Hosts: []string{"app.example.com"}}, nil, nil},
		{"ask, let in and blocked", clients.Trust{Policy: clients.PolicyAsk, Hosts: []string{"app.example.com"}, Blocked: []string{documentID}}, clients.ErrNotAllowed, nil},
		{"list", clients.Trust{Policy: clients.PolicyList}, clients.ErrNotAllowed, nil},
		{"list, host", clients.Trust{Policy: clients.PolicyList, Hosts: []string{"app.example.com"}}, nil, nil},
		{"list, id", clients.Trust{Policy: clients.PolicyList, Hosts: []string{documentID}}, nil, nil},
		{"list, another id of the host", clients.Trust{Policy: clients.PolicyList, Hosts: []string{"https://app.example.com/other.json"}}, clients.ErrNotAllowed, nil},
		{"list, all below", clients.Trust{Policy: clients.PolicyList, Hosts: []string{"*.example.com"}}, nil, nil},
		{"list, the name above", clients.Trust{Policy: clients.PolicyList, Hosts: []string{"example.com"}}, clients.ErrNotAllowed, nil},
		{"off", clients.Trust{Policy: clients.PolicyOff, Hosts: []string{"app.example.com"}}, clients.ErrUnknown, clients.ErrUnknown},
		{"I12/none said", clients.Trust{}, clients.ErrNotAllowed, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := open(t, func(o *clients.Options) { o.Trust, o.Pinned = tt.trust, []bridge.Client{pinned} })
			host := h.app(t)
			client, err := h.Identify(t.Context(), documentID, "")
			if !errors.Is(err, tt.fetched) || (err == nil) != (client.Name == "Example App") {
				t.Errorf("%+v, %v", client, err)
			}
			if tt.fetched != nil && host.Hits() > 0 {
				t.Error("its host was asked")
			}
			if errors.Is(err, clients.ErrAskOperator) != (clients.HostToAllow(err) == "app.example.com") {
				t.Errorf("host to allow %q", clients.HostToAllow(err))
			}
			got, err := h.Identify(t.Context(), pinnedID, "")
			if !errors.Is(err, tt.pinned) || (err == nil) != (got.Name == "Pinned") {
				t.Errorf("pinned: %+v, %v", got, err)
			}
			if lookups := h.world.Lookups(); len(lookups) > 1 {
				t.Errorf("looked up %v", lookups)
			}
			known, err := h.Client(t.Context(), pinnedID) // with no grant and no fetch
			if errors.Is(tt.pinned, clients.ErrUnknown) != errors.Is(err, clients.ErrUnknown) || known.Blocked != errors.Is(tt.pinned, clients.ErrNotAllowed) {
				t.Errorf("pinned and known: %+v, %v", known, err)
			}
		})
	}
}

// AS-113, TK-21: a host that is blocked later gets no new tokens for grants it has.
func TestClient_AS113_blockedLater(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *clients.Options) { o.Trust.Blocked = []string{"app.example.com"} })
	client, err := clients.ReadDocument(documentID, described(nil))
	if err != nil {
		t.Fatal(err)
	}
	client.CreatedAt = h.Now()
	if err := h.Keep(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	if known, err := h.Client(t.Context(), documentID); err != nil || !known.Blocked {
		t.Errorf("%+v, %v", known, err)
	}
}

func TestCheckTrustEntry(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{"claude.ai", "*.example.com", documentID, "8.8.8.8", "localhost"} {
		if err := clients.CheckTrustEntry(entry); err != nil {
			t.Error(err)
		}
	}
	for _, entry := range []string{"", "*", "*.", "Claude.ai", "claude.ai.", "https://claude.ai", "http://claude.ai/c", "claude.ai/c", "claude.ai:443", "*.*.ai", "a b"} {
		if clients.CheckTrustEntry(entry) == nil {
			t.Errorf("%q is taken", entry)
		}
	}
}
