package clients_test

import (
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
)

func TestMatchRedirect(t *testing.T) {
	t.Parallel()
	web := []string{"https://claude.ai/api/mcp/auth_callback"}
	native := []string{"http://127.0.0.1/callback", "http://localhost/callback"}
	port := []string{"http://127.0.0.1:33418/"}
	tests := []struct {
		id         string
		registered []string
		requested  string
		want       bool
	}{
		{"AS-026/same", web, "https://claude.ai/api/mcp/auth_callback", true},
		{"AZ-02/other", web, "https://evil.example/api/mcp/auth_callback", false},
		{"AZ-05/upper-case path", web, "https://claude.ai/API/mcp/auth_callback", false},
		{"AZ-05/upper-case host", web, "https://CLAUDE.ai/api/mcp/auth_callback", false},
		{"AZ-06/query", web, "https://claude.ai/api/mcp/auth_callback?x=1", false},
		{"AZ-06/query on loopback", native, "http://127.0.0.1:5000/callback?x=1", false},
		{"AS-026/slash", web, "https://claude.ai/api/mcp/auth_callback/", false},
		{"AS-026/escaped slash", web, "https://claude.ai/api/mcp%2Fauth_callback", false},
		{"AS-026/sub-path", web, "https://claude.ai/api/mcp/auth_callback/x", false},
		{"AS-026/sub-domain", web, "https://a.claude.ai/api/mcp/auth_callback", false},
		{"AZ-08/user name", web, "https://claude.ai@evil.example/api/mcp/auth_callback", false},
		{"AZ-08/password", web, "https://claude.ai:443@evil.example/api/mcp/auth_callback", false},
		{"AZ-09/suffix", web, "https://claude.ai.evil.example/api/mcp/auth_callback", false},
		{"AZ-09/prefix", web, "https://evilclaude.ai/api/mcp/auth_callback", false},
		{"AZ-09/trailing dot", web, "https://claude.ai./api/mcp/auth_callback", false},
		{"AZ-09/full-width dot", web, "https://claude\u3002ai/api/mcp/auth_callback", false},
		{"AZ-10/backslash", web, `https://claude.ai\@evil.example/api/mcp/auth_callback`, false},
		{"AZ-10/line end", web, "https://claude.ai/api/mcp/auth_callback\r\nX: y", false},
		{"AZ-10/no slashes", web, "https:claude.ai/api/mcp/auth_callback", false},
		{"AZ-10/no scheme", web, "//claude.ai/api/mcp/auth_callback", false},
		{"AZ-11/IPv6 for IPv4", native, "http://[::1]:5000/callback", false},
		{"AZ-12/any port", native, "http://127.0.0.1:51004/callback", true},
		{"AZ-12/port 1", native, "http://127.0.0.1:1/callback", true},
		{"AZ-12/port 65535", native, "http://localhost:65535/callback", true},
		{"AZ-12/no port", native, "http://localhost/callback", true},
		{"B41/another port than registered", port, "http://127.0.0.1:40000/", true},
		{"B41/no port though registered", port, "http://127.0.0.1/", true},
		{"AZ-13/port 0", native, "http://127.0.0.1:0/callback", false},
		{"AZ-13/port 65536", native, "http://127.0.0.1:65536/callback", false},
		{"AZ-13/leading zero", native, "http://127.0.0.1:08080/callback", false},
		{"AZ-13/sign", native, "http://127.0.0.1:+80/callback", false},
		{"AZ-13/empty port", native, "http://127.0.0.1:/callback", false},
		{"AZ-14/look-alike", native, "http://127.0.0.1.evil.example/callback", false},
		{"AZ-14/look-alike name", native, "http://localhost.evil.example:80/callback", false},
		{"AZ-14/short form", native, "http://127.1/callback", false},
		{"AZ-14/hex", native, "http://0x7f000001/callback", false},
		{"AZ-14/mapped", native, "http://[::ffff:127.0.0.1]/callback", false},
		{"AZ-15/brackets", native, "http://[evil.example]/callback", false},
		{"AZ-15/bracket trick", []string{"http://[::1]/callback"}, "http://x[::1]/callback", false},
		{"AS-028/other path", native, "http://127.0.0.1:51004/callback2", false},
		{"AS-028/https loopback, other port", []string{"https://localhost/cb"}, "https://localhost:1/cb", false},
		{"AS-028/the other name", []string{"http://127.0.0.1/callback"}, "http://localhost:51004/callback", false},
		{"I12/nothing registered", nil, "https://claude.ai/api/mcp/auth_callback", false},
		{"I12/nothing requested", web, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			if got := clients.MatchRedirect(tt.registered, tt.requested); got != tt.want {
				t.Errorf("MatchRedirect(%q, %q) = %v, want %v", tt.registered, tt.requested, got, tt.want)
			}
		})
	}
}

func TestCheckRedirect(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id, uri string
		good    bool
	}{
		{"AS-029/https", "https://claude.ai/api/mcp/auth_callback", true},
		{"AS-029/https with query", "https://app.example.com/cb?tenant=1", true},
		{"AS-029/loopback", "http://localhost:8090/callback", true},
		{"AS-029/IPv6 loopback", "http://[::1]/callback", true},
		{"AS-029/http elsewhere", "http://app.example.com/cb", false},
		{"AS-029/fragment", "https://app.example.com/cb#x", false},
		{"AS-029/empty fragment", "https://app.example.com/cb#", false},
		{"AS-029/user", "https://user@app.example.com/cb", false},
		{"AS-029/wildcard", "https://*.example.com/cb", false},
		{"AZ-18/private-use scheme", "evil:/cb", false},
		{"DC-01/javascript", "javascript:alert(1)", false},
		{"DC-01/mixed case", "JaVaScRiPt:alert(1)", false},
		{"DC-01/data", "data:text/html,x", false},
		{"DC-01/file", "file:///etc/passwd", false},
		{"DC-01/control", "https://app.example.com/\x01", false},
		{"DC-01/upper-case scheme", "HTTPS://app.example.com/cb", false},
		{"AZ-10/space", "https://app.example.com/a b", false},
		{"AZ-14/mapped loopback", "http://[::ffff:127.0.0.1]/cb", false},
		{"AZ-37/iss", "https://app.example.com/cb?iss=x", false},
		{"AZ-37/code", "https://app.example.com/cb?a=1&code=x", false},
		{"AZ-37/state", "https://app.example.com/cb?state", false},
		{"AZ-37/error", "https://app.example.com/cb?error=x", false},
		{"DC-04/too long", "https://app.example.com/" + string(make([]byte, 600)), false},
		{"I12/empty", "", false},
		{"I12/no host", "https:///cb", false},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			err := clients.CheckRedirect(tt.uri)
			if (err == nil) != tt.good {
				t.Fatalf("CheckRedirect(%q) = %v, want good = %v", tt.uri, err, tt.good)
			}
			if !tt.good && bridge.AsError(err).Code != "invalid_redirect_uri" {
				t.Errorf("CheckRedirect(%q) = %v, want invalid_redirect_uri", tt.uri, err)
			}
		})
	}
}

// FuzzMatchRedirect holds the matcher against the plainest rule there is: equal bytes, or two
// http loopback URIs that are equal once their ports are cut out.
func FuzzMatchRedirect(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:1/cb", "http://localhost/cb", "https://a.example/cb", "http://[::1]:80/?x", "http://127.0.0.1:080/cb", "http://127.0.0.1.evil/cb"} {
		f.Add("http://127.0.0.1/cb", seed)
		f.Add(seed, "http://localhost:9/cb")
	}
	f.Fuzz(func(t *testing.T, registered, requested string) {
		if clients.MatchRedirect([]string{registered}, requested) && registered != requested && !sameButPort(registered, requested) {
			t.Errorf("%q matched %q", requested, registered)
		}
	})
}

func sameButPort(a, b string) bool {
	for _, host := range []string{"http://localhost", "http://127.0.0.1", "http://[::1]"} {
		x, okX := cutPort(a, host)
		y, okY := cutPort(b, host)
		if okX && okY {
			return x == y
		}
	}
	return false
}

func cutPort(uri, host string) (string, bool) {
	if len(uri) < len(host) || uri[:len(host)] != host {
		return "", false
	}
	rest := uri[len(host):]
	if rest == "" || rest[0] != ':' {
		return rest, rest == "" || rest[0] == '/' || rest[0] == '?'
	}
	i := 1
	for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
		i++
	}
	return rest[i:], i > 1 && (i == len(rest) || rest[i] == '/' || rest[i] == '?')
}
