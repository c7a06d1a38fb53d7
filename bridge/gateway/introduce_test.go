package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/gateway"
)

// GW-53: what the bridge serves stands beside what the upstream does, in every form of the answer.
func TestAnnounce_GW53(t *testing.T) {
	t.Parallel()
	const own = `"extensions":{"com.example/own":{"v":1}}`
	w := start(t, func(o *gateway.Options) { o.Extensions = []string{"a/one", "a/two"} })
	plain := start(t)
	discover, version := modern("server/discover", "")
	for name, tt := range map[string]struct {
		body    string
		headers header
	}{"initialize": {initialize, nil}, "server/discover": {discover, version}} {
		answer := `{"jsonrpc":"2.0","id":1,"result":{"capabilities":{` + own + `,"tools":{}},"cacheScope":"public","ttlMs":60000}}`
		want := strings.Replace(answer, `{"com.example`, `{"a/one":{},"a/two":{},"com.example`, 1)
		c, other := w.connect("alice"), plain.connect("alice")
		for _, serve := range []func(string) func(http.ResponseWriter, *http.Request, string){asJSON, asEvents} {
			w.upstream.answer(serve(answer))
			plain.upstream.answer(serve(answer))
			if got := w.call(c, tt.body, tt.headers).want(t, http.StatusOK).body; !strings.Contains(got, want) {
				t.Errorf("%s: %s", name, got)
			}
			if got := plain.call(other, tt.body, tt.headers).want(t, http.StatusOK).body; !strings.Contains(got, answer) {
				t.Errorf("%s with nothing to announce: %s", name, got)
			}
		}
		for _, strange := range []string{`{"jsonrpc":"2.0","id":1,"result":{"capabilities":{},"capabilities":{}}}`, `not JSON`} {
			w.upstream.answer(asJSON(strange))
			if got := w.call(c, tt.body, tt.headers).want(t, http.StatusOK).body; got != strange {
				t.Errorf("%s that cannot be read: %s", name, got)
			}
		}
		w.upstream.answer(asJSON(answer))
		if got := w.call(c, toolCall("list_agents")).want(t, http.StatusOK).body; got != answer {
			t.Errorf("the answer of a tool was changed: %s", got)
		}
	}
}
