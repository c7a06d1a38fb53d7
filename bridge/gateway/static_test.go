package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
)

func TestStaticKey_ST08_passesAsItIs(t *testing.T) {
	t.Parallel()
	w := start(t)
	key := staticKey("static")
	got := w.send("POST", "/mcp", toolCall("delete_agent"), bearer(key), header{"X-Trinity-User": {"admin"}}).want(t, http.StatusOK)
	seen := w.upstream.last(t)
	if seen.header.Get("Authorization") != "Bearer "+key || seen.body != toolCall("delete_agent") {
		t.Errorf("the upstream got %v %q", seen.header, seen.body)
	}
	for name := range seen.header { // ST-05: nothing that says more about the caller than the key does
		if strings.HasPrefix(name, "X-") && name != "X-Request-Id" {
			t.Errorf("%s was sent with a static key", name)
		}
	}
	if !strings.Contains(got.body, `"result"`) {
		t.Errorf("body %q", got.body)
	}
	w.wantAudit(t)
}

func TestStaticKey_RS01_offMeansUnauthorized(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) { o.StaticKeysOff = true })
	got := w.send("POST", "/mcp", initialize, bearer(staticKey("static"))).want(t, http.StatusUnauthorized)
	if got.header.Get("Www-Authenticate") != challengeInvalid {
		t.Errorf("challenge %q", got.header.Get("Www-Authenticate"))
	}
	w.upstream.wantUntouched(t)
	if _, asked := w.trinity.counts(); asked != 0 {
		t.Error("Trinity was asked about a key that is not taken")
	}
	w.wantAudit(t, "call_refused static_keys_off")
}

// TestStaticKey_ST07: the key's path does not need the store.
func TestStaticKey_ST07_storeDown(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.grants.fail(fmt.Errorf("disk"))
	w.send("POST", "/mcp", ping, bearer(staticKey("static"))).want(t, http.StatusOK)
}

func TestStaticKey_ST03_badKeyIsRememberedForAMinute(t *testing.T) {
	t.Parallel()
	w := start(t)
	key := staticKey("bad")
	w.trinity.say(key, bridge.StandingDead)
	for range 5 {
		got := w.send("POST", "/mcp", initialize, bearer(key)).want(t, http.StatusUnauthorized)
		if got.header.Get("Www-Authenticate") != challengeInvalid {
			t.Errorf("challenge %q", got.header.Get("Www-Authenticate"))
		}
	}
	if _, asked := w.trinity.counts(); asked != 1 {
		t.Errorf("Trinity was asked %d times, want once", asked)
	}
	w.upstream.wantUntouched(t)
	w.trinity.say(key, bridge.StandingGood)
	w.clock.Advance(time.Minute)
	w.send("POST", "/mcp", initialize, bearer(key)).want(t, http.StatusOK)
}

func TestStaticKey_ST03_guessesPerNetwork(t *testing.T) {
	t.Parallel()
	w := start(t)
	good := staticKey("good")
	w.trinity.say("", bridge.StandingDead)
	w.trinity.say(good, bridge.StandingGood)
	w.trinity.say("grant-alice", bridge.StandingGood)
	w.send("POST", "/mcp", ping, bearer(good)).want(t, http.StatusOK)
	limited := 0
	for i := range 40 {
		got := w.send("POST", "/mcp", ping, bearer(staticKey(fmt.Sprintf("guess-%02d-", i))))
		switch got.status {
		case http.StatusTooManyRequests:
			limited++
			if got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		case http.StatusUnauthorized:
		default:
			t.Fatalf("status %d", got.status)
		}
	}
	if limited != 10 {
		t.Errorf("%d of 40 guesses were limited, want 10", limited)
	}
	w.send("POST", "/mcp", ping, bearer(good)).want(t, http.StatusOK) // who was let in before is not shut out
	w.call(w.connect("alice"), ping).want(t, http.StatusOK)           // and nobody with a token ever
	w.clock.Advance(5 * time.Minute)
	w.send("POST", "/mcp", ping, bearer(staticKey("later"))).want(t, http.StatusUnauthorized)
}

// TestStaticKey_goodOnesAreNotCounted: a building full of people may connect at once.
func TestStaticKey_ST03_goodOnesAreNotCounted(t *testing.T) {
	t.Parallel()
	w := start(t)
	for i := range 100 {
		w.send("POST", "/mcp", ping, bearer(staticKey(fmt.Sprintf("person-%03d-", i)))).want(t, http.StatusOK)
	}
}

func TestStaticKey_revokedAtTrinity(t *testing.T) {
	t.Parallel()
	w := start(t)
	key := staticKey("static")
	opened := w.send("POST", "/mcp", initialize, bearer(key)).want(t, http.StatusOK)
	id := opened.header.Get("Mcp-Session-Id")
	w.trinity.say(key, bridge.StandingDead)
	// Some generations do not look at the key of a request in a session, so the bridge does.
	w.send("POST", "/mcp", ping, bearer(key), session(id)).want(t, http.StatusOK)
	w.clock.Advance(time.Minute)
	w.send("POST", "/mcp", ping, bearer(key), session(id)).want(t, http.StatusUnauthorized)
	w.wantAudit(t, "call_refused key_refused")
}

func TestStaticKey_whileTrinityCannotSay(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.trinity.say("", bridge.StandingUnknown)
	key := staticKey("static")
	w.send("POST", "/mcp", ping, bearer(key)).want(t, http.StatusOK)
	w.upstream.answer(status(http.StatusUnauthorized, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Invalid API key"}}`,
		"WWW-Authenticate", `Bearer error="invalid_token"`))
	got := w.send("POST", "/mcp", initialize, bearer(key)).want(t, http.StatusServiceUnavailable)
	if got.header.Get("Www-Authenticate") != "" {
		t.Error("the upstream's challenge reached the client")
	}
	w.upstream.answer(func(rw http.ResponseWriter, _ *http.Request, _ string) {
		w.trinity.say("", bridge.StandingDead) // Trinity finds its voice in between
		rw.WriteHeader(http.StatusUnauthorized)
	})
	w.send("POST", "/mcp", initialize, bearer(key)).want(t, http.StatusUnauthorized)
	w.wantAudit(t, "call_refused key_refused")
}

// TestStaticKey_networks: who cannot be told apart by address shares one allowance.
func TestStaticKey_ST03_networks(t *testing.T) {
	t.Parallel()
	for _, addresses := range [][]string{
		{"192.0.2.1:1", "192.0.2.254:9", "[::ffff:192.0.2.7]:1"},
		{"[2001:db8:0:1::1]:1", "[2001:db8:0:ff:1::]:2", "[2001:db8::1%eth0]:3"},
		{"", "unix", "nonsense:1"},
	} {
		w := start(t)
		w.trinity.say("", bridge.StandingDead)
		for i := range 31 {
			r := w.request(t.Context(), "POST", "/mcp", ping, bearer(staticKey(fmt.Sprintf("guess-%02d-", i))))
			r.RemoteAddr = addresses[i%len(addresses)]
			answer := httptest.NewRecorder()
			w.handler.ServeHTTP(answer, r)
			want := http.StatusUnauthorized
			if i == 30 {
				want = http.StatusTooManyRequests
			}
			if answer.Code != want {
				t.Errorf("%v: guess %d got %d, want %d", addresses, i, answer.Code, want)
			}
		}
	}
}
