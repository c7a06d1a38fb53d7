package oauth

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/abilityai/trinity-bridge/bridge"
)

func TestSameResource_AS39(t *testing.T) {
	t.Parallel()
	const own = "https://connect.example.com/mcp"
	tests := map[string]bool{
		own:                                    true,
		"HTTPS://connect.example.com/mcp":      true,
		"https://CONNECT.example.com/mcp":      true,
		"https://connect.example.com:443/mcp":  true,
		"https://connect.example.com:8443/mcp": false,
		"http://connect.example.com/mcp":       false,
		"https://connect.example.com/MCP":      false,
		"https://connect.example.com/mcp/":     false,
		"https://connect.example.com/%6dcp":    false,
		"https://connect.example.com/mcp?x=1":  false,
		"https://connect.example.com/mcp#":     false,
		"https://a@connect.example.com/mcp":    false,
		"https://connect.example.com":          false,
		"connect.example.com/mcp":              false,
		"/mcp":                                 false,
		"https:connect.example.com/mcp":        false,
		`https://connect.example.com\mcp`:      false,
	}
	for asked, want := range tests {
		if got := sameResource(asked, own); got != want {
			t.Errorf("AS-037, AS-039 %q: %v, want %v", asked, got, want)
		}
	}
}

// FuzzParseParameters: what is read is what net/url reads, once, without empty values, and valid
// UTF-8; whatever is refused is refused with an error of the protocol.
func FuzzParseParameters(f *testing.F) {
	for _, seed := range []string{
		"grant_type=authorization_code&code=x&client_id=y", "a=b&a=c", "a=&b", "a;b=c", "a=%zz", "a=%ff", "resource=x&resource=y",
		"scope=+trinity%3Aread++", "=x", strings.Repeat("a=b&", 70), "client%5Fid=x&client_id=y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseParameters(raw, maxBodyBytes)
		if err != nil {
			if refused := bridge.AsError(err); refused == nil || refused.Code != invalidRequest {
				t.Errorf("refused with %v", err)
			}
			return
		}
		want, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("read what net/url refuses: %v", err)
		}
		for name, list := range got {
			if len(list) == 0 || len(list) > len(want[name]) {
				t.Errorf("%q has %d values, want at most %d", name, len(list), len(want[name]))
			}
			for _, value := range list {
				if value == "" || !utf8.ValidString(value) {
					t.Errorf("%q is %q", name, value)
				}
			}
			if len(list) > 1 && name != "resource" && !got.duplicate() {
				t.Errorf("%q stands %d times unnoticed", name, len(list))
			}
		}
	})
}

// FuzzCanonicalResource: only what differs in nothing but the case of scheme and host and the
// default port is the resource.
func FuzzCanonicalResource(f *testing.F) {
	const own = "https://connect.example.com/mcp"
	for _, seed := range []string{own, "HTTPS://Connect.Example.Com:443/mcp", own + "/", own + "?", "https://connect.example.com:443@evil/mcp"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		if sameResource(asked, own) {
			plain := strings.Replace(strings.ToLower(asked[:len(asked)-len("/mcp")]), ":443", "", 1) + asked[len(asked)-len("/mcp"):]
			if plain != own {
				t.Errorf("%q was taken for the resource", asked)
			}
		}
	})
}
