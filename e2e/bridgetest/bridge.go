package bridgetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/clocktest"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/logtest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// Bridge is a running program.
type Bridge struct {
	URL     string // the issuer
	MCP     string // the connector URL
	Data    string
	Trinity *trinitytest.Server
	Clock   *clocktest.Clock
	Config  config.Flags

	people  atomic.Int64
	logs    *logtest.Buffer
	canary  canaries
	running []replica
	proxy   *Proxy // in front of replicas, nil without
}

// replica is one running process's worth of the program.
type replica struct {
	cancel context.CancelFunc
	done   chan error
}

// Option changes how Start starts.
type Option func(*settings)

type settings struct {
	flags    config.Flags
	file     string
	switches trinitytest.Switches
	upstream func(backendURL string) string
	backend  func(backendURL string) string
}

// With edits the settings.
func With(edit func(*config.Flags)) Option { return func(s *settings) { edit(&s.flags) } }

// WithFile adds a configuration file of that text.
func WithFile(text string) Option { return func(s *settings) { s.file = text } }

// At has the bridge at an address that was chosen before it starts.
func At(address string) Option {
	return func(s *settings) { s.flags.PublicURL, s.flags.Listen = "http://"+address, address }
}

// WithTrinity starts the simulated Trinity with switches.
func WithTrinity(edit func(*trinitytest.Switches)) Option {
	return func(s *settings) { edit(&s.switches) }
}

// WithUpstream puts another MCP server in the place of the simulated one. It is told where the backend is,
// which says whose a key is, and returns the server's endpoint.
func WithUpstream(start func(backendURL string) (endpoint string)) Option {
	return func(s *settings) { s.upstream = start }
}

// WithBackend puts something between the bridge, and the bridge alone, and Trinity's backend. It is told where that
// is, and returns the address to ask in its place.
func WithBackend(start func(backendURL string) (baseURL string)) Option {
	return func(s *settings) { s.backend = start }
}

// Start starts a bridge before a simulated Trinity. Both end with the test.
func Start(t *testing.T, options ...Option) *Bridge {
	t.Helper()
	b := prepare(t, options...)
	if Replicas() > 0 {
		b.proxy = StartBalancer(t, strings.TrimPrefix(b.URL, "http://"))
	}
	b.start(t)
	return b
}

// prepare makes all but the running program.
func prepare(t *testing.T, options ...Option) *Bridge {
	t.Helper()
	clock := clocktest.At(time.Now())
	s := settings{}
	address := fmt.Sprintf("127.0.0.1:%d", FreePort(t))
	data := t.TempDir()
	s.flags = config.Flags{
		PublicURL: "http://" + address, Listen: address, OperatorListen: "127.0.0.1:0", Data: data,
		OperatorName: "Example Inc.", OperatorContact: "ops@example.com", LogLevel: "debug",
		DocumentPolicy: "allow-list", // with an empty list: the metadata are the real ones, and nothing leaves the machine
	}
	for _, option := range options {
		option(&s)
	}
	if Replicas() > 0 {
		s.flags.Store = NewDatabase(t)
	}
	if s.flags.Store != "" && s.flags.Secret == "" {
		s.flags.Secret = rand.Text() + rand.Text()
	}
	simulated, err := trinitytest.Start(trinitytest.Options{Now: clock.Now, Switches: s.switches, People: people()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = simulated.Close() })
	s.flags.TrinityURL, s.flags.MCPURL = simulated.BackendURL(), simulated.MCPURL()
	if s.upstream != nil {
		s.flags.MCPURL = s.upstream(simulated.BackendURL())
	}
	if s.backend != nil {
		s.flags.TrinityURL = s.backend(simulated.BackendURL())
	}
	if s.file != "" {
		s.flags.Config = writeFile(t, s.file)
	}
	b := &Bridge{
		URL: s.flags.PublicURL, MCP: s.flags.PublicURL + "/mcp", Data: data, Trinity: simulated, Clock: clock,
		Config: s.flags, logs: &logtest.Buffer{},
	}
	t.Cleanup(func() {
		b.Stop(t)
		b.canary.scan(t, "the log", b.logs.String())
	})
	return b
}

// start starts the program: in front of its data folder, or as replicas of which each has a folder and
// an address of its own.
func (b *Bridge) start(t *testing.T) {
	t.Helper()
	if b.proxy == nil {
		b.startOne(t, b.Config)
		return
	}
	var targets []string
	for i := range Replicas() {
		flags := b.Config
		flags.Listen = "127.0.0.1:0"
		if i > 0 {
			flags.Data = filepath.Join(b.Data, fmt.Sprint("replica-", i))
		}
		targets = append(targets, b.startOne(t, flags))
	}
	b.proxy.Serve(targets...)
}

// startOne starts the program once and returns the address it listens on.
func (b *Bridge) startOne(t *testing.T, flags config.Flags) string {
	t.Helper()
	cfg, err := config.Load(flags, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	program, err := app.New(ctx, cfg, app.Options{
		Log: slog.New(slog.NewJSONHandler(b.logs, &slog.HandlerOptions{Level: cfg.LogLevel})), Now: b.Clock.Now,
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if err := program.RefuseOpenUpstream(ctx); err != nil {
		cancel()
		t.Fatal(err)
	}
	r := replica{cancel, make(chan error, 1)}
	b.running = append(b.running, r)
	go func() {
		err := program.Run(ctx)
		if closed := program.Close(); err == nil {
			err = closed
		}
		r.done <- err
	}()
	return program.Addr()
}

// Stop ends the program as SIGTERM does.
func (b *Bridge) Stop(t *testing.T) {
	t.Helper()
	for _, r := range b.running {
		r.cancel()
	}
	for _, r := range b.running {
		if err := <-r.done; err != nil {
			t.Errorf("the bridge did not stop cleanly: %v", err)
		}
	}
	b.running = nil
}

// Restart stops the program and starts it again on the same data.
func (b *Bridge) Restart(t *testing.T) {
	t.Helper()
	b.Stop(t)
	b.start(t)
}

// crowd is how many people may sign in beside the three of the demo: each mailbox gets three codes
// in ten minutes, so a test that signs in often needs many.
const crowd = 120

func people() []trinitytest.Person {
	all := trinitytest.DefaultPeople()
	for i := range crowd {
		all = append(all, trinitytest.Person{Email: fmt.Sprintf("person-%d@example.com", i), Role: "user"})
	}
	return all
}

// Someone is the address of somebody who has not signed in yet.
func (b *Bridge) Someone() string {
	return fmt.Sprintf("person-%d@example.com", (b.people.Add(1)-1)%crowd)
}

// Logs is what the program has logged.
func (b *Bridge) Logs() string { return b.logs.String() }

// Audited counts the audit events of a kind in the log, with an outcome unless it is "".
func (b *Bridge) Audited(kind, outcome string) int {
	n := 0
	for line := range strings.Lines(b.logs.String()) {
		if strings.Contains(line, `"msg":"audit"`) && strings.Contains(line, `"kind":"`+kind+`"`) &&
			(outcome == "" || strings.Contains(line, `"outcome":"`+outcome+`"`)) {
			n++
		}
	}
	return n
}

// Secret adds a value to the canaries: it must be in no output when the test ends.
func (b *Bridge) Secret(values ...string) { b.canary.add(values...) }

// Answer is a complete answer.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Do sends a request without following redirects and reads the answer whole.
func (b *Bridge) Do(t *testing.T, req *http.Request) Answer {
	t.Helper()
	client := &http.Client{
		Timeout: 30 * time.Second, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", req.Method, req.URL.Path, err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: string(body)}
}

// With replicas each request comes on a connection of its own, and so to the next replica.
var transport = &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, DisableKeepAlives: Replicas() > 0}

// Get fetches a path of the bridge.
func (b *Bridge) Get(t *testing.T, path string, header ...string) Answer {
	t.Helper()
	return b.Do(t, b.Request(t, http.MethodGet, path, "", header...))
}

// PostForm posts a form to a path of the bridge.
func (b *Bridge) PostForm(t *testing.T, path string, form url.Values, header ...string) Answer {
	t.Helper()
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)
	return b.Do(t, b.Request(t, http.MethodPost, path, form.Encode(), header...))
}

// PostJSON posts JSON to a path of the bridge.
func (b *Bridge) PostJSON(t *testing.T, path, body string, header ...string) Answer {
	t.Helper()
	header = append([]string{"Content-Type", "application/json"}, header...)
	return b.Do(t, b.Request(t, http.MethodPost, path, body, header...))
}

// Request makes a request to a path of the bridge; header are pairs of name and value.
func (b *Bridge) Request(t *testing.T, method, path, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}
