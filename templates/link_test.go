package templates

import (
	"strings"
	"testing"
)

// The page that sends the browser on does so to exactly the address it was handed.
func TestOnward_exact(t *testing.T) {
	t.Parallel()
	tests := []string{
		"https://claude.ai/api/mcp/auth_callback?code=tbc_abc-DEF_123&iss=https%3A%2F%2Fbridge.example.com&state=a%2Bb%3D%3D",
		"https://claude.ai/cb?x=1&code=c&state=%27%22%3E%3Cscript%3E+%28x%29%3B",
		"http://localhost:3118/callback?code=c&state=s",
		"http://127.0.0.1:51234/callback?code=c&state=s",
		"http://[::1]:51234/callback?code=c&state=s",
		"https://claude.ai/cb;p=1?code=c&state=s;t",
	}
	for _, address := range tests {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			elements := readPage(t, write(t, OnwardPage{URL: address, Client: webClient}))
			var refresh, link string
			for _, e := range elements {
				if e.attrs["http-equiv"] == "refresh" {
					refresh = e.attrs["content"]
				}
				if e.attrs["class"] == "button" {
					link = e.attrs["href"]
				}
			}
			if refresh != "0;url="+address {
				t.Errorf("refresh %q", refresh)
			}
			if link != address {
				t.Errorf("link %q", link)
			}
		})
	}
}

// Whatever could run, stay here unseen or go where nobody checked is not linked to, and the code
// in it reaches neither page nor log.
func TestOnward_refused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "javascript:alert('canary')", "data:text/html,canary", "vbscript:canary", "file:///canary", "claude://canary",
		"http://example.com/cb?code=canary", "http://localhost.example.com/?code=canary", "http://127.0.0.1.example.com/?code=canary",
		"//example.com/?code=canary", "/canary", "https:///canary", "https://canary@example.com/", "https:canary",
		"https://exa mple.com/?code=canary", "https://example.com/\ncanary", "http://0x7f.1/?code=canary", "HTTP://[::ffff:8.8.8.8]/?code=canary",
	} {
		for name, page := range map[string]any{
			"onward": OnwardPage{URL: address, Client: webClient},
			"return": ReturnPage{URL: address, Client: webClient, Reason: "invalid_scope"},
		} {
			t.Run(name+"/"+address, func(t *testing.T) {
				t.Parallel()
				w, log := writeBroken(t, page)
				if strings.Contains(w.Body.String()+log, "canary") {
					t.Errorf("the address leaks:\n%s\n%s", w.Body, log)
				}
			})
		}
	}
}

func TestOnward_words(t *testing.T) {
	t.Parallel()
	wantWords(t, write(t, samples()["onward"]), "Allowed – Trinity Bridge", "taken back to claude.ai", "Continue to claude.ai")
	wantWords(t, write(t, samples()["onward, denied"]), "Not allowed – Trinity Bridge", "Nothing was connected.", "Continue to 127.0.0.1:3118")
	ours := OnwardPage{URL: "https://claude.ai/cb?error=of-its-own&code=c", Client: webClient}
	wantWords(t, write(t, ours), "Allowed – Trinity Bridge")
}

// AS-048: a page with a link that names where it leads, and no way there without the person.
func TestReturn_AS048(t *testing.T) {
	t.Parallel()
	page := write(t, ReturnPage{
		URL: "https://evil.example/cb?error=invalid_scope", Client: Client{Name: "Claude", RedirectHost: "evil.example"}, Reason: "invalid_scope",
	})
	wantWords(t, page, "Go back to evil.example", "evil.example, which is not part of this server")
	if strings.Contains(page, "http-equiv") {
		t.Error("the page goes there by itself")
	}
}

func TestProblem_retry(t *testing.T) {
	t.Parallel()
	if page := write(t, ProblemPage{Key: "internal", RetryURL: "/signin?flow=a&b=c"}); !strings.Contains(page, `href="/signin?flow=a&amp;b=c"`) {
		t.Error("no link to try again")
	}
	if page := write(t, ProblemPage{Key: "internal"}); strings.Contains(page, "Try again</a>") {
		t.Error("a link to nowhere")
	}
	for _, address := range []string{
		"https://evil.example/", "//evil.example/", `/\evil.example/`, "javascript:alert(1)", "signin", "\t//evil.example", "/%zz",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			writeBroken(t, ProblemPage{Key: "internal", RetryURL: address})
		})
	}
}
