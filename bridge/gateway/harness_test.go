package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

const (
	issuer   = "https://bridge.example.com"
	resource = issuer + "/mcp"
	metadata = issuer + "/.well-known/oauth-protected-resource/mcp"
	patience = 10 * time.Second // how long a test waits for what must happen
)

// world is a gateway on a real listener, with a recording upstream behind it and small stores.
type world struct {
	t        testing.TB
	gateway  *gateway.Gateway
	server   *httptest.Server
	upstream *upstream
	ring     *secret.Keyring
	signer   *token.Signer
	grants   *grants
	trinity  *keyring
	audit    *auditStore
	trail    *audit.Trail
	logs     *safeBuffer
	log      *slog.Logger
	clock    *clock
	ready    *readiness
}

// start makes a world; edit may change the options before the gateway is made.
func start(t testing.TB, edit ...func(*gateway.Options)) *world {
	t.Helper()
	w := &world{t: t, upstream: newUpstream(t), grants: newGrants(), audit: &auditStore{}, logs: &safeBuffer{}, clock: &clock{now: time.Now()}, ready: &readiness{}}
	w.trinity = &keyring{keys: map[string]secret.Token{}, of: map[string]bridge.Standing{}, standing: bridge.StandingGood}
	var err error
	if w.ring, err = secret.NewKeyring(bytes.Repeat([]byte("m"), secret.MinMasterBytes)); err != nil {
		t.Fatal(err)
	}
	if w.signer, err = token.OpenSigner(t.Context(), &signingKeys{}, w.ring, issuer, w.clock.Now); err != nil {
		t.Fatal(err)
	}
	catalogue, err := tools.Load()
	if err != nil {
		t.Fatal(err)
	}
	w.log = slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.trail = audit.New(w.audit, w.log, w.clock.Now)
	target, err := url.Parse(w.upstream.server.URL + "/mcp")
	if err != nil {
		t.Fatal(err)
	}
	options := gateway.Options{
		Issuer: issuer, Upstream: target, Tokens: w.signer, Grants: w.grants, Credentials: w.trinity, Tools: catalogue,
		Ring: w.ring, Trail: w.trail, Log: w.log, Now: w.clock.Now, Ready: w.ready.err,
	}
	for _, e := range edit {
		e(&options)
	}
	if w.gateway, err = gateway.New(options); err != nil {
		t.Fatal(err)
	}
	router := mux.NewRouter().SkipClean(true)
	w.gateway.Mount(router)
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		router.ServeHTTP(rw, r.WithContext(audit.WithRequestID(r.Context(), "ref-1")))
	}))
	t.Cleanup(func() {
		w.gateway.Close()
		w.server.Close()
		w.upstream.server.Close()
	})
	return w
}

// connection is a live grant with an access token.
type connection struct {
	grant bridge.Grant
	token string
	key   string
}

// connect makes a live grant of a person with scopes, and a token for all of them.
func (w *world) connect(person string, scopes ...bridge.Scope) connection {
	w.t.Helper()
	if scopes == nil {
		scopes = bridge.AllScopes()
	}
	id := "grant-" + person
	g := bridge.Grant{
		ID: id, Status: bridge.GrantLive, Person: bridge.Person{Source: bridge.SourceTrinity, Subject: person},
		Account: bridge.Account{Username: person}, ClientID: "client-1", Resource: resource, Scopes: scopes,
		Credential: bridge.Credential{KeyID: "key-" + person, Sealed: []byte("sealed " + person)}, CreatedAt: w.clock.Now(),
	}
	w.grants.put(g)
	key := staticKey(person)
	w.trinity.set(id, key)
	return connection{grant: g, key: key, token: w.mint(g, g.Scopes, time.Hour)}
}

func (w *world) mint(g bridge.Grant, scopes bridge.Scopes, life time.Duration) string {
	w.t.Helper()
	minted, _, err := w.signer.Mint(g, scopes, life)
	if err != nil {
		w.t.Fatal(err)
	}
	return minted.Reveal()
}

// staticKey has the shape of a Trinity key and is the same for the same name.
func staticKey(name string) string {
	return "trinity_mcp_" + (name + strings.Repeat("x", 43))[:43]
}

type answer struct {
	status int
	header http.Header
	body   string
}

// want checks the status.
func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d; body %s", a.status, status, a.body)
	}
	return a
}

// rpcError is the JSON-RPC error an answer carries.
func (a answer) rpcError(t testing.TB) (code int, id string) {
	t.Helper()
	var body struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.JSONRPC != "2.0" || body.Error == nil || body.Error.Message == "" {
		t.Fatalf("%q is no JSON-RPC error (%v)", a.body, err)
	}
	if kind := a.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("the error is %q, want JSON", kind)
	}
	return body.Error.Code, string(body.ID)
}

type header = map[string][]string

// send makes a request with exactly these headers and reads the whole answer.
func (w *world) send(method, path, body string, headers ...header) answer {
	w.t.Helper()
	res := w.open(w.t.Context(), method, path, body, headers...)
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(data)}
}

func (w *world) open(ctx context.Context, method, path, body string, headers ...header) *http.Response {
	w.t.Helper()
	req := w.request(ctx, method, path, body, headers...)
	res, err := w.server.Client().Transport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) request(ctx context.Context, method, path, body string, headers ...header) *http.Request {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
	}
	for _, h := range headers {
		maps.Copy(req.Header, h)
	}
	return req
}

// call posts body with the connection's token.
func (w *world) call(c connection, body string, headers ...header) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/mcp", body, append([]header{bearer(c.token)}, headers...)...)
}

func bearer(value string) header  { return header{"Authorization": {"Bearer " + value}} }
func version(value string) header { return header{"Mcp-Protocol-Version": {value}} }
func session(value string) header { return header{"Mcp-Session-Id": {value}} }

const (
	initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	ping       = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
)

func toolCall(name string) string {
	return `{"jsonrpc":"2.0","id":"c-1","method":"tools/call","params":{"name":"` + name + `","arguments":{"secret":"argument-canary"}}}`
}

// modern wraps a method for 2026-07-28 with the headers that go with it.
func modern(method, params string) (string, header) {
	if params != "" {
		params += ","
	}
	body := `{"jsonrpc":"2.0","id":9,"method":"` + method + `","params":{` + params + `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`
	return body, header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {method}}
}

// upstream is an MCP server that answers what a test wants and remembers what it was asked.
type upstream struct {
	server *httptest.Server
	mu     sync.Mutex
	seen   []seen
	serve  func(w http.ResponseWriter, r *http.Request, body string)
}

type seen struct {
	method, path, query, host, body string
	header                          http.Header
}

func newUpstream(t testing.TB) *upstream {
	u := &upstream{serve: mcpServer}
	u.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the upstream could not read a body: %v", err)
		}
		u.mu.Lock()
		u.seen = append(u.seen, seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Host, string(body), r.Header.Clone()})
		serve := u.serve
		u.mu.Unlock()
		serve(w, r, string(body))
	}))
	return u
}

func (u *upstream) answer(serve func(w http.ResponseWriter, r *http.Request, body string)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.serve = serve
}

func (u *upstream) requests() []seen {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.seen)
}

// last is the newest request.
func (u *upstream) last(t testing.TB) seen {
	t.Helper()
	all := u.requests()
	if len(all) == 0 {
		t.Fatal("the upstream was not asked")
	}
	return all[len(all)-1]
}

func (u *upstream) wantUntouched(t testing.TB) {
	t.Helper()
	if n := len(u.requests()); n != 0 {
		t.Errorf("the upstream was asked %d times, want never", n)
	}
}

// mcpServer answers as a stateful server of 2025 does: initialize opens session "upstream-session".
func mcpServer(w http.ResponseWriter, r *http.Request, body string) {
	switch {
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusOK)
	case r.Method == http.MethodGet:
		events(w, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n")
	case strings.Contains(body, `"initialize"`):
		w.Header().Set("Mcp-Session-Id", "upstream-session")
		events(w, "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocolVersion\":\"2025-11-25\"}}\n\n")
	case strings.Contains(body, `"notifications/`):
		w.WriteHeader(http.StatusAccepted)
	default:
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":1,"result":{"session":%q}}`, r.Header.Get("Mcp-Session-Id"))
	}
}

func events(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

func status(code int, contentType, body string, headers ...string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// grants is a store of grants that can fail.
type grants struct {
	mu      sync.Mutex
	rows    map[string]bridge.Grant
	err     error
	touched []string
	reads   int
}

func newGrants() *grants { return &grants{rows: map[string]bridge.Grant{}} }

func (s *grants) put(g bridge.Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[g.ID] = g
}

func (s *grants) change(id string, change func(*bridge.Grant)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.rows[id]
	change(&g)
	s.rows[id] = g
}

func (s *grants) get(id string) bridge.Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[id]
}

func (s *grants) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, id)
}

func (s *grants) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *grants) Grant(_ context.Context, id string) (bridge.Grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.err != nil {
		return bridge.Grant{}, s.err
	}
	g, ok := s.rows[id]
	if !ok {
		return bridge.Grant{}, bridge.ErrNotFound
	}
	return g, nil
}

func (s *grants) TouchGrant(_ context.Context, id string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = append(s.touched, id)
	g := s.rows[id]
	g.LastUsedAt = now
	s.rows[id] = g
	return s.err
}

func (s *grants) EndGrant(_ context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return bridge.Grant{}, false, s.err
	}
	g := s.rows[id]
	if g.Status == bridge.GrantEnded {
		return g, false, nil
	}
	g.Status, g.EndReason, g.EndedAt = bridge.GrantEnded, reason, now
	s.rows[id] = g
	return g, true, nil
}

// keyring opens keys and says, in Trinity's place, what they are worth.
type keyring struct {
	mu       sync.Mutex
	keys     map[string]secret.Token    // by grant
	of       map[string]bridge.Standing // by grant or by key
	standing bridge.Standing            // of whatever is not in of
	opened   int
	asked    int
}

func (c *keyring) set(grant, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[grant] = secret.New(key)
}

func (c *keyring) say(what string, standing bridge.Standing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if what == "" {
		c.standing = standing
		return
	}
	c.of[what] = standing
}

func (c *keyring) counts() (opened, asked int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened, c.asked
}

func (c *keyring) Open(grant bridge.Grant) (secret.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened++
	key, ok := c.keys[grant.ID]
	if !ok {
		return secret.Token{}, secret.ErrOpen
	}
	return key, nil
}

func (c *keyring) Standing(_ context.Context, grant bridge.Grant) bridge.Standing {
	return c.worth(grant.ID)
}

func (c *keyring) StandingOfKey(_ context.Context, key secret.Token) bridge.Standing {
	return c.worth(key.Reveal())
}

func (c *keyring) worth(what string) bridge.Standing {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if standing, ok := c.of[what]; ok {
		return standing
	}
	return c.standing
}

type auditStore struct {
	mu     sync.Mutex
	events []bridge.AuditEvent
}

func (s *auditStore) AppendAudit(_ context.Context, events []bridge.AuditEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
	return nil
}

func (s *auditStore) AuditTrail(context.Context, string, int) ([]bridge.AuditEvent, error) {
	return nil, nil
}

// wantAudit checks that the trail holds exactly these "kind outcome" lines since the last look.
func (w *world) wantAudit(t testing.TB, want ...string) {
	t.Helper()
	w.trail.Flush(t.Context())
	w.audit.mu.Lock()
	defer w.audit.mu.Unlock()
	got := []string{}
	for _, event := range w.audit.events {
		got = append(got, event.Kind+" "+event.Outcome)
		if text := fmt.Sprintf("%+v", event); strings.Contains(text, "canary") {
			t.Errorf("the audit trail holds what it must not: %s", text)
		}
	}
	w.audit.events = nil
	if !slices.Equal(got, append([]string{}, want...)) {
		t.Errorf("audit trail %q, want %q", got, want)
	}
}

type signingKeys struct {
	mu   sync.Mutex
	keys []bridge.SigningKey
}

func (s *signingKeys) SigningKeys(context.Context) ([]bridge.SigningKey, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys, len(s.keys), nil
}

func (s *signingKeys) SwapSigningKeys(_ context.Context, keys []bridge.SigningKey, _ int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
	return nil
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type readiness struct {
	mu  sync.Mutex
	why error
}

func (r *readiness) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}

func (r *readiness) set(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.why = why
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// eventually waits until is holds.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}
