package templates

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// AS-050, AS-051, AZ-47, CO-14: what every page goes out with, whole and exact.
func TestWrite_headers(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{issuer, "http://127.0.0.1:8420"} {
		set := newSet(t, Site{Issuer: origin})
		for name, page := range samples() {
			t.Run(origin+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := httptest.NewRecorder()
				set.Write(w, http.StatusTeapot, page)
				action := "'none'"
				if strings.Contains(w.Body.String(), "<form") {
					action = "'self'"
				}
				want := http.Header{
					"Content-Type":  {"text/html; charset=utf-8"},
					"Cache-Control": {"no-store"},
					"Content-Security-Policy": {"default-src 'none'; style-src 'self'; img-src 'self'; form-action " + action +
						"; base-uri 'none'; frame-ancestors 'none'"},
					"X-Frame-Options":        {"DENY"},
					"X-Content-Type-Options": {"nosniff"},
					"Referrer-Policy":        {"no-referrer"},
					"Permissions-Policy":     {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
				}
				if origin == issuer {
					want["Strict-Transport-Security"] = []string{"max-age=31536000"}
				}
				if diff := cmp.Diff(want, w.Header()); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
				if w.Code != http.StatusTeapot {
					t.Errorf("status %d", w.Code)
				}
			})
		}
	}
}

// CO-23: a page works by markup alone, for a keyboard and for a screen reader.
func TestWrite_CO23_structure(t *testing.T) {
	t.Parallel()
	for name, page := range samples() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			elements := readPage(t, write(t, page))
			wantHeadings(t, elements)
			wantLabels(t, elements)
			wantNothingActive(t, elements)
			if lang := named(elements, "html", "")[0].attrs["lang"]; lang != "en" {
				t.Errorf("lang %q", lang)
			}
			title := named(elements, "title", "")[0].text
			if before, _, found := strings.Cut(title, " – Trinity Bridge"); !found || before == "" {
				t.Errorf("title %q", title)
			}
		})
	}
}

func wantHeadings(t *testing.T, elements []element) {
	t.Helper()
	var levels []string
	for _, e := range elements {
		if e.name == "h1" || e.name == "h2" {
			levels = append(levels, e.name)
		}
	}
	if len(levels) == 0 || levels[0] != "h1" || slices.Contains(levels[1:], "h1") {
		t.Errorf("headings %v: want one h1 before everything else", levels)
	}
}

func wantLabels(t *testing.T, elements []element) {
	t.Helper()
	ids, labels := map[string]bool{}, map[string]bool{}
	for _, e := range elements {
		if id := e.attrs["id"]; id != "" {
			if ids[id] {
				t.Errorf("two elements with id %q", id)
			}
			ids[id] = true
		}
		if e.name == "label" {
			labels[e.attrs["for"]] = true
		}
	}
	for i, e := range elements {
		for _, id := range strings.Fields(e.attrs["aria-describedby"]) {
			if !ids[id] {
				t.Errorf("%s is described by %q, which is not there", e.name, id)
			}
		}
		if e.name == "img" {
			if _, ok := e.attrs["alt"]; !ok {
				t.Error("an image without alt")
			}
		}
		hidden := e.attrs["type"] == "hidden"
		inside := e.attrs["type"] == "checkbox" && elements[i-1].name == "label"
		if e.name == "input" && !hidden && !inside && !labels[e.attrs["id"]] {
			t.Errorf("input %q has no label", e.attrs["name"])
		}
		if e.name == "button" && e.attrs["type"] != "submit" {
			t.Errorf("button of type %q", e.attrs["type"])
		}
	}
}

// wantNothingActive wants no script, no handler, no style of its own and no resource from
// elsewhere: what the policy would block must not be there either.
func wantNothingActive(t *testing.T, elements []element) {
	t.Helper()
	for _, e := range elements {
		for attr, value := range e.attrs {
			if strings.HasPrefix(attr, "on") || attr == "style" || attr == "srcset" {
				t.Errorf("<%s %s=%q>", e.name, attr, value)
			}
		}
		if src := e.attrs["src"]; src != "" && !strings.HasPrefix(src, "/static/") {
			t.Errorf("%s from %q", e.name, src)
		}
		if href := e.attrs["href"]; e.name == "link" && !strings.HasPrefix(href, "/static/") {
			t.Errorf("link to %q", href)
		}
		if scheme, _, found := strings.Cut(e.attrs["href"], ":"); found && !slices.Contains([]string{"https", "http", "mailto", "otpauth"}, scheme) {
			t.Errorf("%s to %q", e.name, e.attrs["href"])
		}
		if action := e.attrs["action"]; e.name == "form" && (e.attrs["method"] != "post" || !strings.HasPrefix(action, "/")) {
			t.Errorf("form %v", e.attrs)
		}
	}
}

func TestWrite_notice(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]any{
		"sign in": samples()["sign in again"], "code": samples()["code again"], "second factor": samples()["second factor again"],
		"consent": samples()["consent, local again"],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			elements := readPage(t, write(t, page))
			i := slices.IndexFunc(elements, func(e element) bool { return e.attrs["role"] == "alert" })
			if i < 0 || elements[i].attrs["id"] != "notice" {
				t.Fatal("no alert")
			}
			if !slices.ContainsFunc(elements, func(e element) bool {
				return slices.Contains(strings.Fields(e.attrs["aria-describedby"]), "notice")
			}) {
				t.Error("nothing is described by the notice")
			}
			if title := named(elements, "title", "")[0].text; !strings.HasPrefix(title, "Please check: ") {
				t.Errorf("title %q", title)
			}
		})
	}
}

// A fault of ours becomes the plain page, with all headers and without a word of why.
func TestWrite_broken(t *testing.T) {
	t.Parallel()
	tests := map[string]any{
		"unknown notice":    SignInPage{Notice: "no.such"},
		"unknown problem":   ProblemPage{Key: "no-such"},
		"no problem":        ProblemPage{},
		"unknown error":     ReturnPage{URL: "https://claude.ai/cb?error=x", Reason: "no_such_code"},
		"CO-19/other scope": ConsentPage{Scopes: []ScopeChoice{{Scope: "<b>own words</b>"}}},
		"no page":           "text",
		"no page at all":    nil,
		"by reference":      &HomePage{},
	}
	for name, page := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, log := writeBroken(t, page)
			wantWords(t, w.Body.String(), "Something broke on this server")
			if strings.Contains(w.Body.String(), "such") || strings.Contains(w.Body.String(), "template") {
				t.Errorf("the page says why: %s", w.Body)
			}
			if !strings.Contains(log, "a page could not be rendered") {
				t.Errorf("log: %s", log)
			}
			if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'none'") {
				t.Errorf("policy %q", csp)
			}
		})
	}
}

func TestNew_issuer(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "bridge.example.com", "ftp://bridge.example.com", "https://", "https://a b", "javascript:alert(1)"} {
		if _, err := New(Site{Issuer: bad}); !errors.Is(err, errSite) {
			t.Errorf("issuer %q: %v", bad, err)
		}
	}
}

func TestNew_contact(t *testing.T) {
	t.Parallel()
	tests := []struct{ contact, wantLink, wantText string }{
		{"trinity@example.com", "mailto:trinity@example.com", "Contact: trinity@example.com"},
		{"https://example.com/help", "https://example.com/help", "Contact: https://example.com/help"},
		{"room 12, first floor", "", "Contact: room 12, first floor"},
		{"http://example.com", "", "Contact: http://example.com"},
		{"javascript:alert(1)@x.y", "", ""},
		{"", "", "Contact: whoever gave you this server’s address."},
	}
	for _, tt := range tests {
		t.Run(tt.contact, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			newSet(t, Site{Issuer: issuer, Contact: tt.contact}).Write(w, 200, PrivacyPage{IdleDays: 30, MaxDays: 180, AuditDays: 90})
			elements := readPage(t, w.Body.String())
			var link string
			for _, a := range named(elements, "a", "") {
				if href := a.attrs["href"]; href != issuer+"/privacy" && !strings.HasPrefix(href, "/") {
					link = href
				}
			}
			if tt.wantText != "" && link != tt.wantLink || strings.HasPrefix(link, "javascript") {
				t.Errorf("link %q, want %q", link, tt.wantLink)
			}
			wantWords(t, w.Body.String(), tt.wantText)
		})
	}
}

// Every class a page uses has its rule, and every class that has a rule is used.
func TestStyleSheet_classes(t *testing.T) {
	t.Parallel()
	sheet, err := os.ReadFile("../static/bridge.css")
	if err != nil {
		t.Fatal(err)
	}
	ruled, used := map[string]bool{}, map[string]bool{}
	for _, class := range regexp.MustCompile(`\.([a-z]+)\b[^;{}]*[{,]`).FindAllStringSubmatch(string(sheet), -1) {
		for _, c := range regexp.MustCompile(`\.([a-z]+)`).FindAllStringSubmatch(class[0], -1) {
			ruled[c[1]] = true
		}
	}
	for name, page := range samples() {
		for _, e := range readPage(t, write(t, page)) {
			for class := range strings.FieldsSeq(e.attrs["class"]) {
				used[class] = true
				if !ruled[class] {
					t.Errorf("%s: class %q has no rule", name, class)
				}
			}
		}
	}
	for class := range ruled {
		if !used[class] {
			t.Errorf("class %q is on no page", class)
		}
	}
}

func ExampleSet_Write() {
	pages, err := New(Site{Issuer: "https://bridge.example.com", Operator: "Example Ltd", Contact: "trinity@example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	page := ProblemPage{Status: http.StatusGone, Key: "flow-gone", Reference: "7f3a91"}
	pages.Write(w, page.Status, page)
	fmt.Println(w.Code, w.Header().Get("Cache-Control"), strings.Contains(w.Body.String(), "This sign-in is over"))
	// Output: 410 no-store true
}
