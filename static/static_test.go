package static

import (
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/mux"
)

func get(t *testing.T, method, path string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := mux.NewRouter()
	Mount(r)
	request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	request.Header = header
	w := httptest.NewRecorder()
	r.ServeHTTP(w, request)
	return w
}

func TestMount(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ path, mediaType, content string }{
		{StyleSheet(), "text/css; charset=utf-8", styleSheet},
		{Mark(), "image/svg+xml", mark},
	} {
		w := get(t, http.MethodGet, tt.path, http.Header{})
		if w.Code != http.StatusOK || w.Body.String() != tt.content {
			t.Errorf("%s: status %d, %d bytes", tt.path, w.Code, w.Body.Len())
		}
		want := http.Header{
			"Accept-Ranges":                {"bytes"},
			"Cache-Control":                {"public, max-age=31536000, immutable"},
			"Content-Length":               {strconv.Itoa(len(tt.content))},
			"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
			"Content-Type":                 {tt.mediaType},
			"Cross-Origin-Resource-Policy": {"same-origin"},
			"X-Content-Type-Options":       {"nosniff"},
		}
		if diff := cmp.Diff(want, w.Header()); diff != "" {
			t.Errorf("%s: headers (-want +got):\n%s", tt.path, diff)
		}
		if w := get(t, http.MethodHead, tt.path, http.Header{}); w.Code != http.StatusOK || w.Body.Len() != 0 {
			t.Errorf("HEAD %s: status %d, %d bytes", tt.path, w.Code, w.Body.Len())
		}
	}
}

func TestMount_nothingElse(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/static/", "/static", "/static/bridge.css", "/static/mark.svg", "/static/static.go", "/static/../go.mod",
		"/static/bridge.000000000000.css", StyleSheet() + "/", StyleSheet() + ".map",
	} {
		if w := get(t, http.MethodGet, path, http.Header{}); w.Code == http.StatusOK {
			t.Errorf("%s is served", path)
		}
	}
	if w := get(t, http.MethodPost, StyleSheet(), http.Header{}); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: status %d", w.Code)
	}
}

func TestAddress_changesWithContent(t *testing.T) {
	t.Parallel()
	if address("bridge", "css", "a") == address("bridge", "css", "b") {
		t.Error("two contents have one address")
	}
	if !regexp.MustCompile(`^/static/bridge\.[0-9a-f]{12}\.css$`).MatchString(StyleSheet()) {
		t.Errorf("address %q", StyleSheet())
	}
}

// Nothing in the files asks for anything from elsewhere or runs.
func TestFiles_selfContained(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"style sheet": styleSheet, "mark": strings.Replace(mark, `xmlns="http://www.w3.org/2000/svg"`, "", 1)} {
		if found := regexp.MustCompile(`(?i)url\(|@import|https?:|<script|<style|\son[a-z]+=|href|expression`).FindString(content); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
	}
}

// WCAG 2.2 §1.4.3 and §1.4.11, computed from the colours in force, light and dark.
func TestStyleSheet_contrast(t *testing.T) {
	t.Parallel()
	const text, graphics = 4.5, 3
	pairs := []struct {
		front, back string
		least       float64
	}{
		{"ink", "page", text},
		{"ink", "card", text},
		{"ink", "sunken", text},
		{"muted", "page", text},
		{"muted", "card", text},
		{"muted", "sunken", text},
		{"accent", "page", text},
		{"accent", "card", text},
		{"accent", "sunken", text},
		{"on-accent", "accent", text},
		{"on-accent", "accent-hover", text},
		{"warn-ink", "warn-back", text},
		{"warn-ink", "card", text},
		{"bad-ink", "bad-back", text},
		{"bad-ink", "card", graphics},
		{"good-ink", "good-back", text},
		{"edge", "card", graphics},
	}
	light, dark := colours(t, false), colours(t, true)
	if len(light) != 18 || len(dark) != len(light) {
		t.Fatalf("%d colours in light, %d in dark", len(light), len(dark))
	}
	for scheme, set := range map[string]map[string]float64{"light": light, "dark": dark} {
		for _, p := range pairs {
			if _, ok := set[p.front]; !ok {
				t.Errorf("%s: no colour %s", scheme, p.front)
			}
			if got := contrast(set[p.front], set[p.back]); got < p.least {
				t.Errorf("%s: %s on %s has contrast %.2f, want %.1f", scheme, p.front, p.back, got, p.least)
			}
		}
	}
}

// colours are the relative luminances of the variables of a scheme, by name.
func colours(t *testing.T, dark bool) map[string]float64 {
	t.Helper()
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(styleSheet, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of colours, want one for light and one for dark", len(blocks))
	}
	block := blocks[0][1]
	if dark {
		block = blocks[1][1]
	}
	set := map[string]float64{}
	for _, v := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
		rgb, err := strconv.ParseUint(v[2], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		set[v[1]] = 0.2126*linear(rgb>>16) + 0.7152*linear(rgb>>8&0xff) + 0.0722*linear(rgb&0xff)
	}
	return set
}

func linear(channel uint64) float64 {
	c := float64(channel) / 255
	if c <= 0.04045 {
		return c / 12.92
	}
	return math.Pow((c+0.055)/1.055, 2.4)
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }
