package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

// TestLoad_noAnswersCrossed: many people at once, each call answered to who made it, as who made it.
func TestLoad_I8_noAnswersCrossed(t *testing.T) {
	t.Parallel()
	const people, calls, workers = 1000, 4, 64
	w := start(t)
	w.upstream.answer(func(rw http.ResponseWriter, r *http.Request, body string) {
		if strings.Contains(body, `"initialize"`) {
			rw.Header().Set("Mcp-Session-Id", "session-of-"+owner(r.Header))
			events(rw, "data: {}\n\n")
			return
		}
		id := body[strings.Index(body, `"id":"`)+6:]
		result := fmt.Sprintf(`{"id":%q,"owner":%q,"session":%q}`, id[:strings.Index(id, `"`)], owner(r.Header), r.Header.Get("Mcp-Session-Id"))
		if len(id)%2 == 0 { // half of them as events
			events(rw, "data: "+result+"\n\n")
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, result)
	})
	client := outbound.Transport()
	t.Cleanup(client.CloseIdleConnections)
	send := func(c connection, body string, h ...header) (string, http.Header, error) {
		res, err := client.RoundTrip(w.request(t.Context(), "POST", "/mcp", body, append(h, bearer(c.token))...))
		if err != nil {
			return "", nil, err
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		return string(text), res.Header, err
	}
	connections := make(chan connection)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for c := range connections {
				_, h, err := send(c, initialize)
				if err != nil {
					t.Error(err)
					continue
				}
				id := h.Get("Mcp-Session-Id")
				for n := range calls {
					name := fmt.Sprintf("%s-%d", c.grant.ID, n)
					body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":"tools/call","params":{"name":"list_agents","arguments":{"pad":%q}}}`, name, strings.Repeat("p", n*997))
					got, _, err := send(c, body, session(id))
					me := owner(header{"Authorization": {"Bearer " + c.key}})
					want := fmt.Sprintf(`{"id":%q,"owner":%q,"session":%q}`, name, me, "session-of-"+me)
					got = strings.TrimSpace(strings.TrimPrefix(strings.TrimPrefix(got, ": ok\n"), "data: "))
					if err != nil || got != want {
						t.Errorf("%s got %q (%v), want %q", name, got, err, want)
					}
				}
			}
		})
	}
	for i := range people {
		connections <- w.connect(fmt.Sprintf("person-%04d-", i))
	}
	close(connections)
	group.Wait()
	if t.Failed() {
		return
	}
	owners := map[string]bool{}
	for _, seen := range w.upstream.requests() {
		me, id := owner(seen.header), seen.header.Get("Mcp-Session-Id")
		if id != "" && id != "session-of-"+me {
			t.Fatalf("%s was used by %s", id, me)
		}
		owners[me] = true
	}
	if len(owners) != people {
		t.Errorf("the upstream saw %d keys, want %d", len(owners), people)
	}
}

// owner names the key of a request without repeating it, which would be redacted.
func owner(h http.Header) string { return bridge.HashOf(h.Get("Authorization")).String() }
