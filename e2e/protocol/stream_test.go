package protocol_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// soon is less than a stream's grant is left unread: what ends within it was told to.
const soon = 12 * time.Second

// A listener reads an answer that comes in pieces.
type listener struct{ lines chan string } // of data; closed at the end, proper or not

// open sends a request and reads its answer from then on.
func open(t *testing.T, b *bridgetest.Bridge, method, body, bearer, session string) listener {
	t.Helper()
	req := b.Request(t, method, "/mcp", body, "Authorization", "Bearer "+bearer, "Mcp-Session-Id", session,
		"Content-Type", "application/json", "Accept", "application/json, text/event-stream")
	res, err := alone.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", method, res.StatusCode)
	}
	l := listener{make(chan string, 2000)}
	go func() {
		defer close(l.lines)
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data != "" {
				l.lines <- data
			}
		}
	}()
	return l
}

// With replicas each stream is another replica's.
var alone = &http.Transport{DisableKeepAlives: true}

// next is the next message; "" at the end.
func (l listener) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l.lines:
		return line
	case <-time.After(time.Minute):
		t.Fatal("nothing more comes, and no end")
		return ""
	}
}

// wantEndSoon reads to the end.
func (l listener) wantEndSoon(t *testing.T, what string) {
	t.Helper()
	for late := time.After(soon); ; {
		select {
		case _, more := <-l.lines:
			if !more {
				return
			}
		case <-late:
			t.Errorf("%s goes on", what)
			return
		}
	}
}

// slowly is a call that tells so many times how far it is before it is answered.
func slowly(steps int) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"chat_with_agent",`+
		`"arguments":{"agent_name":"a","message":"slow %d"},"_meta":{"progressToken":"p"}}}`, steps)
}

// GW-34, GW-37: a call of more than an hour tells how far it is and is answered, though its token has expired on the way;
// nothing else can be done with that token.
func TestStream_GW34_anHour(t *testing.T) {
	t.Parallel()
	const steps = 10
	b := bridgetest.Start(t)
	client := b.Register(t)
	tokens := b.Connect(t, client, b.Someone())
	session := b.Session(t, tokens.Access)
	call := open(t, b, http.MethodPost, slowly(steps), tokens.Access, session)
	for n := 1; n <= steps; n++ {
		if got := call.next(t); !strings.Contains(got, fmt.Sprintf(`"progress":%d,`, n)) {
			t.Fatalf("step %d: %s", n, got)
		}
		if n == 1 {
			b.Clock.Advance(70 * time.Minute)
			if got := b.Works(t, tokens.Access); got != http.StatusUnauthorized {
				t.Errorf("the old token: %d", got)
			}
		}
	}
	if got := call.next(t); !strings.Contains(got, `"id":7`) || !strings.Contains(got, "chat_with_agent") {
		t.Errorf("answered %q", got)
	}
	fresh := b.Token(t, b.RefreshForm(client, tokens.Refresh))
	if answer := b.Tool(t, fresh.Access, session, "list_agents"); answer.Status != http.StatusOK {
		t.Errorf("the session goes on with the refreshed token: %d %s", answer.Status, answer.Body)
	}
}

// I10, RS-24: whoever ends a grant cuts what it has open, on every replica, and nobody else's.
func TestLifecycle_I10_streams(t *testing.T) {
	t.Parallel()
	b := bridgetest.Start(t)
	client := b.Register(t)
	other := b.Connect(t, client, b.Someone())
	unharmed := open(t, b, http.MethodGet, "", other.Access, b.Session(t, other.Access))
	for who, revoke := range map[string]func(*testing.T, bridgetest.Tokens, string){
		"the client": func(t *testing.T, tokens bridgetest.Tokens, _ string) {
			t.Helper()
			wantRevoked(t, b.PostForm(t, "/oauth/revoke", url.Values{"client_id": {client.ID}, "token": {tokens.Refresh}}))
		},
		"the operator": func(t *testing.T, _ bridgetest.Tokens, account string) {
			t.Helper()
			grants, err := bridgetest.All(app.ListGrants(t.Context(), b.Data, "", ""))
			if err != nil {
				t.Fatal(err)
			}
			for _, grant := range grants {
				if grant.Account == account {
					b.Revoke(t, grant.ID)
				}
			}
		},
	} {
		account := b.Someone()
		tokens := b.Connect(t, client, account)
		var streams []listener
		for range bridgetest.Times(1) {
			session := b.Session(t, tokens.Access) // one has one stream
			streams = append(streams, open(t, b, http.MethodGet, "", tokens.Access, session),
				open(t, b, http.MethodPost, slowly(999), tokens.Access, session))
		}
		revoke(t, tokens, account)
		for n, s := range streams {
			s.wantEndSoon(t, fmt.Sprintf("stream %d, ended by %s,", n, who))
		}
	}
	select {
	case _, more := <-unharmed.lines:
		if !more {
			t.Error("another person's stream was cut")
		}
	default:
	}
}
