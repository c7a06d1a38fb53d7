package protocol_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// decide is the operator's command.
func decide(t *testing.T, b *bridgetest.Bridge, entry string, allowed bool) {
	t.Helper()
	client, err := app.DecideClient(t.Context(), b.Data, entry, allowed)
	bridgetest.Settle()
	want := map[bool]clients.State{true: clients.StateIn, false: clients.StateBlocked}[allowed]
	if err != nil || client.ID != entry || client.State != want || client.DecidedAt == nil {
		t.Fatalf("deciding about %s: %+v, %v", entry, client, err)
	}
}

// listedClient is how the operator sees a client.
func listedClient(t *testing.T, b *bridgetest.Bridge, id string) (app.ListedClient, bool) {
	t.Helper()
	known, err := app.ListClients(t.Context(), b.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range known.Clients {
		if client.ID == id {
			return client, true
		}
	}
	return app.ListedClient{}, false
}

// AS-113: where the operator is asked, one command lets a host's clients in, and another shuts them out, tokens and all,
// both without a restart and beyond the next one.
func TestVerdict_AS113_ask(t *testing.T) {
	t.Parallel()
	host := bridgetest.NewDocumentHost(t)
	b := bridgetest.Start(t, host.Settings, bridgetest.With(func(f *config.Flags) { f.DocumentPolicy = "ask" }))
	id := host.URL + "/client.json"
	host.Serve(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(bridgetest.NewDocument(id, nil).Text(t)))
	})
	client := describedClient(id)
	authorize := "/oauth/authorize?" + b.Query(client).Encode()
	name := strings.TrimPrefix(host.URL, "https://")
	name = name[:strings.LastIndexByte(name, ':')]

	if page := b.Get(t, authorize); page.Status != http.StatusBadRequest || !page.Contains(name) {
		t.Fatalf("before the decision: %d %s", page.Status, words(page))
	}
	wait(t, func() bool {
		asks, known := listedClient(t, b, id)
		return known && asks.State == clients.StateAsks && asks.AskedAt != nil && asks.Connections == 0
	}, "the operator sees who asks")

	decide(t, b, name, true)
	tokens := b.Connect(t, client, alice)
	if in, _ := listedClient(t, b, id); in.State != clients.StateIn || in.Connections != 1 || in.Name != "Example App" {
		t.Errorf("connected: %+v", in)
	}
	b.Restart(t)
	if b.Works(t, tokens.Access) != http.StatusOK {
		t.Error("the decision did not outlive a restart")
	}

	decide(t, b, id, false) // a whole id, though its host is let in
	if page := b.Get(t, authorize); page.Status != http.StatusBadRequest || page.Contains(name) {
		t.Errorf("shut out: %d %s", page.Status, words(page))
	}
	wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
	if b.Works(t, tokens.Access) != http.StatusUnauthorized {
		t.Error("calls go on")
	}
	b.Restart(t)
	if b.Works(t, tokens.Access) != http.StatusUnauthorized {
		t.Error("after a restart calls go on")
	}

	decide(t, b, id, true)
	b.Clock.Advance(time.Second)
	if b.Works(t, tokens.Access) != http.StatusOK {
		t.Error("let in again, calls are refused")
	}
	decide(t, b, name, false)
	if b.Works(t, tokens.Access) != http.StatusUnauthorized {
		t.Error("AS-113: being shut out by the host does not count where the id is let in")
	}
	if b.Audited("client_allowed", "") != 2 || b.Audited("client_blocked", "") != 2 {
		t.Error("the audit trail has another story")
	}
}

// AS-113: what the settings shut out no command lets in, and registered and configured clients can be shut out, too.
func TestVerdict_AS113_others(t *testing.T) {
	t.Parallel()
	const shut = "https://bad.example.com/client.json"
	b := bridgetest.Start(t, bridgetest.WithPinned(t, bridgetest.NewDocument(shut, nil), bridgetest.NewDocument(documentID, nil)),
		bridgetest.With(func(f *config.Flags) { f.DocumentPolicy, f.DocumentBlockedHosts = "allow-list", "bad.example.com" }), bridgetest.WithFile(`
clients:
  - {id: house-client, name: House, redirect_uris: ["`+bridgetest.Redirect+`"]}
`))
	decide(t, b, "bad.example.com", true)
	wantPage(t, b.Get(t, "/oauth/authorize?"+b.Query(describedClient(shut)).Encode()))

	registered, house := b.Register(t), bridgetest.Client{ID: "house-client", Redirect: []string{bridgetest.Redirect}}
	for _, client := range []bridgetest.Client{registered, house, describedClient(documentID)} {
		tokens := b.Connect(t, client, b.Someone())
		decide(t, b, client.ID, false)
		wantPage(t, b.Get(t, "/oauth/authorize?"+b.Query(client).Encode()))
		wire{401, "invalid_client"}.check(t, b.PostForm(t, "/oauth/token", b.RefreshForm(client, tokens.Refresh)))
		if b.Works(t, tokens.Access) != http.StatusUnauthorized {
			t.Errorf("%s: calls go on", client.ID)
		}
		if out, _ := listedClient(t, b, client.ID); out.State != clients.StateBlocked || out.Connections != 1 {
			t.Errorf("%+v", out)
		}
		decide(t, b, client.ID, true)
		if b.Works(t, tokens.Access) != http.StatusOK {
			t.Errorf("%s: let in again, calls are refused", client.ID)
		}
	}
	for _, entry := range []string{"", " ", "*", "*.", "https://h", "a b", "https://app.example.com/c#x", "UPPER.example.com"} {
		if client, err := app.DecideClient(t.Context(), b.Data, entry, true); err == nil {
			t.Errorf("entry %q: %+v", entry, client)
		}
	}
}
