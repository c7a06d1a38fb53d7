package trinitytest

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// backend is Trinity's REST API, as far as the contract goes.
type backend struct {
	state    *state
	switches *switchboard
	codes    func(email, code string)
	log      *slog.Logger
	routes   []route
}

// route is one method and path; a segment in braces matches anything and is read with PathValue.
type route struct {
	method, path string
	serve        http.HandlerFunc
}

func newBackend(s *state, switches *switchboard, o Options) *backend {
	b := &backend{state: s, switches: switches, codes: o.Codes, log: o.Logger}
	b.routes = slices.Concat(b.loginRoutes(), b.secondFactorRoutes(), b.userRoutes(), b.keyRoutes(), b.settingsRoutes(), b.agentRoutes())
	return b
}

// ServeHTTP joins the caller's log with Trinity's by X-Request-ID (contract §2) and routes.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-ID")
	if id == "" {
		fresh, err := newUUID(b.state.rand)
		if err != nil {
			b.fail(w, err)
			return
		}
		id = fresh
	}
	w.Header().Set("X-Request-ID", id)
	allowLocalOrigin(w, r)
	if strings.HasPrefix(r.URL.Path, "/api/internal/") {
		// No internal secret is configured, so none is right (contract §3.5).
		detail(w, http.StatusForbidden, "Invalid or missing internal API secret")
		return
	}
	var allowed []string
	for _, rt := range b.routes {
		if !matchPath(rt.path, r) {
			continue
		}
		if rt.method == r.Method {
			rt.serve(w, r)
			return
		}
		allowed = append(allowed, rt.method)
	}
	if allowed == nil {
		detail(w, http.StatusNotFound, "Not Found")
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	detail(w, http.StatusMethodNotAllowed, "Method Not Allowed")
}

func matchPath(pattern string, r *http.Request) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(r.URL.Path, "/")
	if len(want) != len(got) {
		return false
	}
	for i, segment := range want {
		if name, ok := strings.CutPrefix(segment, "{"); ok && got[i] != "" {
			r.SetPathValue(strings.TrimSuffix(name, "}"), got[i])
		} else if segment != got[i] {
			return false
		}
	}
	return true
}

// allowLocalOrigin is the backend's CORS: localhost only (contract §2).
func allowLocalOrigin(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if u, err := url.Parse(origin); err == nil && u.Scheme == "http" && u.Hostname() == "localhost" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Add("Vary", "Origin")
	}
}

// readBody decodes a JSON object the way Python does: the last of two equal names wins and unknown names
// are ignored, but names are compared exactly.
func readBody(r *http.Request, into any) error {
	return json.UnmarshalRead(r.Body, into, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body, json.Deterministic(true))
	if err != nil {
		panic(err) // every body here is made of strings, numbers and times
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // a caller who has left needs no answer
}

// detail is FastAPI's error body.
func detail(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, struct {
		Detail string `json:"detail"`
	}{text})
}

// unprocessable is FastAPI's answer to a body that does not fit its model.
func unprocessable(w http.ResponseWriter, field, text string) {
	type problem struct {
		Type string   `json:"type"`
		Loc  []string `json:"loc"`
		Msg  string   `json:"msg"`
	}
	writeJSON(w, http.StatusUnprocessableEntity, struct {
		Detail []problem `json:"detail"`
	}{[]problem{{Type: "value_error", Loc: []string{"body", field}, Msg: text}}})
}

// crash is what an exception nobody caught looks like from outside.
func crash(w http.ResponseWriter) {
	writeText(w, http.StatusInternalServerError, "text/plain; charset=utf-8", internalServerError)
}

// fail answers for trouble of the simulation itself, such as a full disk.
func (b *backend) fail(w http.ResponseWriter, err error) {
	b.log.Error("simulated Trinity backend", "error", err)
	crash(w)
}
