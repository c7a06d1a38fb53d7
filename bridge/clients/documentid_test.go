package clients_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/clients"
)

func TestCheckDocumentID(t *testing.T) {
	t.Parallel()
	good := []string{
		"https://claude.ai/oauth/mcp-oauth-client-metadata",
		"https://chatgpt.com/oauth/client.json",
		"https://slack.com/.well-known/oauth-client-metadata",
		"https://app.example.com:8443/client.json",
		"https://app.example.com:443/client.json",
		"https://xn--bcher-kva.example.com/c",
		"https://8.8.8.8/c",
		"https://[2001:4860:4860::8888]/c",
		"https://app.example.com/a%20b/c.json",
		"https://app.example.com/a.b/..c/c..",
		"https://app.example.com/@scope/c",
		"https://app.example.com/folder/",
		"https://app.example.com/" + strings.Repeat("x", 232),
	}
	for _, id := range good {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			if err := clients.CheckDocumentID(id); err != nil {
				t.Error(err)
			}
		})
	}
	bad := map[string][]string{
		"CM-01/scheme":       {"http://app.example.com/c", "HTTPS://app.example.com/c", "ftp://app.example.com/c", "https:/app.example.com/c", "https:app.example.com/c", "//app.example.com/c", " https://app.example.com/c", ""},
		"CM-01/no path":      {"https://app.example.com", "https://app.example.com/", "https://", "https:///c", "https://:443/c"},
		"CM-01/more":         {"https://app.example.com/c#f", "https://app.example.com/c#", "https://u@app.example.com/c", "https://u:p@app.example.com/c", "https://@app.example.com/c", "https://app.example.com/c?q=1", "https://app.example.com/c?"},
		"CM-02/dots":         {"https://app.example.com/./c", "https://app.example.com/a/../c", "https://app.example.com/..", "https://app.example.com/a/.", "https://app.example.com/../../c"},
		"CM-02/escaped dots": {"https://app.example.com/%2e/c", "https://app.example.com/a/%2E%2e/c", "https://app.example.com/.%2e/c", "https://app.example.com/a%2Fb", "https://app.example.com/a%5cb", "https://app.example.com/%252e", "https://app.example.com/%00", "https://app.example.com/%3b", "https://app.example.com/%zz", "https://app.example.com/%2", "https://app.example.com/%"},
		"CM-02/odd":          {`https://app.example.com/a\c`, `https://app.example.com\c`, "https://app.example.com/c;p=1", "https://app.example.com//c", "https://app.example.com/a//c", "https://app.example.com/c d", "https://app.example.com/c\td", "https://app.example.com/c\r\nX: y", "https://app.example.com/é", "https://app.example.com/<c>"},
		"CO-16/host":         {"https://сlaude.ai/c", "https://App.example.com/c", "https://app.example.com./c", "https://.example.com/c", "https://a..example.com/c", "https://app_.example.com:/c", "https://app.example.com:0/c", "https://app.example.com:443443/c", "https://app.example.com:0443/c", "https://app.example.com:x/c", "https://[::1/c", "https://[fe80::1%25eth0]/c", "https://a b.example.com/c", "https://*.example.com/c"},
		"too long":           {"https://app.example.com/" + strings.Repeat("x", 233)},
	}
	for id, list := range bad {
		for _, address := range list {
			t.Run(id+" "+address, func(t *testing.T) {
				t.Parallel()
				if clients.CheckDocumentID(address) == nil {
					t.Error("taken")
				}
			})
		}
	}
}

// What the rule lets through has one reading: parsers agree on it and give it back as it was.
func FuzzCheckDocumentID(f *testing.F) {
	for _, seed := range []string{
		"https://claude.ai/oauth/mcp-oauth-client-metadata", "https://a.example.com:443/c", "https://a.example.com/%2e%2e/c",
		"https://a.example.com\\@b/c", "https://[::1]/c", "https://u@a/c?x#y", "https://a/./c;d", "https://a%2eb/c", "https://a/%",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if clients.CheckDocumentID(id) != nil {
			return
		}
		u, err := url.Parse(id)
		if err != nil || u.String() != id || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Host == "" {
			t.Fatalf("%q is read as %+v, %v", id, u, err)
		}
		if clean := u.JoinPath(); clean.Path != u.Path || strings.Contains(u.Path, "//") || strings.Contains(u.Path+"/", "/../") || strings.Contains(u.Path+"/", "/./") {
			t.Fatalf("%q is cleaned to %q", id, clean)
		}
		if strings.ToLower(u.Host) != u.Host || len(u.Path) < 2 || len(id) > 256 {
			t.Fatalf("%q", id)
		}
	})
}
