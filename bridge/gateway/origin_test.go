package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/gateway"
)

const inspector = "http://localhost:6274"

func allowInspector(o *gateway.Options) { o.Origins = []string{inspector} }

func TestOrigin_GW01_foreignIsRefusedBeforeTheCredential(t *testing.T) {
	t.Parallel()
	w := start(t, allowInspector)
	c := w.connect("alice")
	origins := map[string][]string{
		"foreign":        {"https://evil.example.com"},
		"RS-43/null":     {"null"},
		"empty":          {""},
		"other port":     {"http://localhost:6275"},
		"other scheme":   {"http://bridge.example.com"},
		"with a slash":   {issuer + "/"},
		"upper case":     {strings.ToUpper(issuer)},
		"suffix":         {issuer + ".evil.example.com"},
		"two, one good":  {issuer, "https://evil.example.com"},
		"two in one":     {issuer + ", https://evil.example.com"},
		"twice the same": {issuer, issuer},
	}
	for name, values := range origins {
		for _, method := range []string{"POST", "GET", "DELETE", "OPTIONS", "PUT"} {
			for _, h := range []header{nil, bearer(c.token)} {
				got := w.send(method, "/mcp", initialize, h, header{"Origin": values}).want(t, http.StatusForbidden)
				got.rpcError(t)
				if got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Www-Authenticate") != "" {
					t.Errorf("%s %s: headers %v", name, method, got.header)
				}
			}
		}
	}
	w.upstream.wantUntouched(t)
}

func TestOrigin_GW02_absentAndAllowed(t *testing.T) {
	t.Parallel()
	w := start(t, allowInspector)
	c := w.connect("alice")
	w.call(c, ping).want(t, http.StatusOK)
	for _, origin := range []string{issuer, inspector} {
		for _, h := range []header{bearer(c.token), bearer("rubbish"), nil} { // GW-06: on refusals too
			got := w.send("POST", "/mcp", ping, h, header{"Origin": {origin}})
			if got.header.Get("Access-Control-Allow-Origin") != origin {
				t.Errorf("%s: not allowed to read: %v", origin, got.header)
			}
			for _, name := range []string{"WWW-Authenticate", "Mcp-Session-Id", "MCP-Protocol-Version"} {
				if !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), name) {
					t.Errorf("%s is not exposed", name)
				}
			}
			if !strings.Contains(got.header.Get("Vary"), "Origin") {
				t.Error("no Vary: Origin")
			}
			if got.header.Get("Access-Control-Allow-Credentials") != "" { // GW-08, RS-55
				t.Error("cookies are allowed")
			}
		}
	}
	if seen := w.upstream.last(t); seen.header.Get("Origin") != "" {
		t.Error("the upstream saw the Origin")
	}
}

func TestOrigin_GW07_preflight(t *testing.T) {
	t.Parallel()
	w := start(t, allowInspector)
	got := w.send("OPTIONS", "/mcp", "", header{
		"Origin": {inspector}, "Access-Control-Request-Method": {"POST"},
		"Access-Control-Request-Headers": {"authorization,mcp-param-region, mcp-param-b\"ad, x-evil, mcp-method"},
	}).want(t, http.StatusNoContent)
	allowed := got.header.Get("Access-Control-Allow-Headers")
	for _, name := range []string{ // GW-05
		"Authorization", "Content-Type", "Accept", "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id", "Last-Event-ID", "Mcp-Param-Region",
	} {
		if !strings.Contains(allowed, name) {
			t.Errorf("%s is not allowed: %q", name, allowed)
		}
	}
	if strings.Contains(allowed, "evil") || strings.Contains(allowed, `"`) || strings.Contains(allowed, "*") {
		t.Errorf("allowed too much: %q", allowed)
	}
	if got.header.Get("Access-Control-Allow-Methods") != "POST, GET, DELETE, OPTIONS" || got.header.Get("Access-Control-Allow-Origin") != inspector {
		t.Errorf("headers %v", got.header)
	}
	plain := w.send("OPTIONS", "/mcp/", "").want(t, http.StatusNoContent)
	if plain.header.Get("Allow") == "" || plain.header.Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("headers %v", plain.header)
	}
	w.upstream.wantUntouched(t)
}
