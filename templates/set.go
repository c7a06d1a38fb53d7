package templates

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/abilityai/trinity-bridge/static"
)

//go:embed html/*.html
var pageFiles embed.FS

// Set is every page of one deployment. Use New.
type Set struct {
	pages  map[string]*template.Template // by name: "consent" is html/consent.html in the layout
	broken []byte                        // the page that is sent when another one cannot be rendered
	https  bool
	log    *slog.Logger
}

// New parses every page. It fails where the site is not described or a file of ours is at fault.
func New(site Site) (*Set, error) {
	words, err := loadMessages(messageFile)
	if err != nil {
		return nil, err
	}
	view, err := site.view()
	if err != nil {
		return nil, err
	}
	s := &Set{pages: map[string]*template.Template{}, https: view.https, log: site.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	layout, err := template.New("layout").Funcs(functions(words, view)).
		ParseFS(pageFiles, "html/layout.html", "html/parts.html")
	if err != nil {
		return nil, fmt.Errorf("parsing the layout: %w", err)
	}
	for _, name := range pageNames() {
		page, err := layout.Clone()
		if err == nil {
			page, err = page.ParseFS(pageFiles, "html/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("parsing page %s: %w", name, err)
		}
		s.pages[name] = page
	}
	if s.broken, err = s.render("problem", ProblemPage{Status: http.StatusInternalServerError, Key: "internal"}); err != nil {
		return nil, err
	}
	return s, nil
}

// Write answers with a page: one of the structs in pages.go, by value. All headers a page needs
// are set here and nowhere else. A page that cannot be rendered, or that links to where it must
// not, becomes a plain 500; the log alone says why.
func (s *Set) Write(w http.ResponseWriter, status int, page any) {
	kind, err := kindOf(page)
	var body []byte
	if err == nil {
		body, err = s.render(kind.name, page)
	}
	if err != nil {
		s.log.Error("a page could not be rendered", "page", kind.name, "error", err)
		status, body, kind.form = http.StatusInternalServerError, s.broken, false
	}
	s.setHeaders(w.Header(), kind.form)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the person has gone away; nothing is left to be told
}

func (s *Set) render(name string, page any) ([]byte, error) {
	var b bytes.Buffer
	if err := s.pages[name].ExecuteTemplate(&b, "layout", page); err != nil {
		return nil, fmt.Errorf("rendering page %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// setHeaders sets what every page carries (AS-050, AS-051, AZ-47). form-action is 'self' and no
// more: browsers check it along the whole redirect chain, so the way to the client is a page of
// its own and not a redirect (B49, CO-24). There is no Cross-Origin-Opener-Policy: clients sign
// people in from pop-ups and need their opener.
func (s *Set) setHeaders(h http.Header, form bool) {
	action := "'none'"
	if form {
		action = "'self'"
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action "+action+
		"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	if s.https {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// functions are what the templates may call.
func functions(words messages, site siteView) template.FuncMap {
	return template.FuncMap{
		"parts":         words.parts,
		"text":          words.text,
		"name":          CleanName,
		"clean":         clean,
		"host":          asciiHost,
		"hostOf":        hostOf,
		"denied":        denied,
		"website":       website,
		"qr":            drawQR,
		"authenticator": authenticator,
		"who":           func(c Client) (string, error) { return who(words, c) },
		"day":           func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"minute":        func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
		"stamp":         func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"number":        strconv.Itoa,
		"days":          func(n int) (string, error) { return days(words, n) },
		"site":          func() siteView { return site },
		"stylesheet":    static.StyleSheet,
		"mark":          static.Mark,
	}
}
