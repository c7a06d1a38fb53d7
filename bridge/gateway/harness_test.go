package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clocktest"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/logtest"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

const (
	issuer   = "https://bridge.example.com"
	resource = issuer + "/mcp"
	metadata = issuer + "/.well-known/oauth-protected-resource/mcp"
	patience = time.Minute // how long a test waits for what must happen
)

// world is a gateway on a real listener, with a recording upstream behind it and small stores.
type world struct {
	t        testing.TB
	gateway  *gateway.Gateway
	handler  http.Handler // what the gateway mounts
	server   *httptest.Server
	upstream *upstream
	ring     *secret.Keyring
	signer   *token.Signer
	grants   *grants
	trinity  *keyring
	audit    *auditStore
	trail    *audit.Trail
	logs     *logtest.Buffer
	log      *slog.Logger
	clock    *clocktest.Clock
	ready    *readiness
}

// start makes a world; edit may change the options before the gateway is made.
func start(t testing.TB, edit ...func(*gateway.Options)) *world {
	t.Helper()
	w := &world{t: t, upstream: newUpstream(t), grants: newGrants(), audit: &auditStore{}, logs: &logtest.Buffer{}, clock: clocktest.At(time.Now()), ready: &readiness{}}
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
	router := w.gateway.Before(http.NotFoundHandler())
	w.handler = router
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
	minted, _, err := w.signer.Mint(g, scopes, bridge.Hash{}, life)
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
	body := `{"jsonrpc":"2.0","id":9,"method":"` + method + `","params":{` + params + `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":{}}}}`
	return body, header{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {method}}
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
