package static

import (
	"crypto/sha256"
	_ "embed" // the files are part of the program
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"
)

var (
	//go:embed bridge.css
	styleSheet string
	//go:embed mark.svg
	mark string
)

// StyleSheet is the path of the pages' style sheet: "/static/bridge.0a1b2c3d4e5f.css".
func StyleSheet() string { return address("bridge", "css", styleSheet) }

// Mark is the path of the bridge's own mark, which is also its favicon.
func Mark() string { return address("mark", "svg", mark) }

// Mount adds one route per file. Any other path is left to the router's own 404.
func Mount(r *mux.Router) {
	for _, f := range []file{
		{path: StyleSheet(), mediaType: "text/css; charset=utf-8", content: styleSheet},
		{path: Mark(), mediaType: "image/svg+xml", content: mark},
	} {
		r.Handle(f.path, f).Methods(http.MethodGet, http.MethodHead)
	}
}

func address(name, extension, content string) string {
	sum := sha256.Sum256([]byte(content))
	return "/static/" + name + "." + hex.EncodeToString(sum[:6]) + "." + extension
}

type file struct {
	path, mediaType, content string
}

// ServeHTTP answers with the file. The policy matters where somebody opens the mark by itself:
// an SVG is a document then.
func (f file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.mediaType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(f.content))
}
