package trinity_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clocktest"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/logtest"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/federation"
	"github.com/abilityai/trinity-bridge/federation/trinity"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
	"github.com/abilityai/trinity-bridge/templates"
)

const (
	alice = "alice@example.com"
	bob   = "bob@example.com"

	browserHome = "127.0.0.1:40000" // where a browser calls from unless a test says otherwise
)

// bench is everything of this package around a simulated Trinity, over real HTTP and the real store.
type bench struct {
	t           *testing.T
	trinity     *trinitytest.Server
	between     *between // stands before the simulated backend
	api         *trinity.API
	store       *badger.Store
	ring        *secret.Keyring
	trail       *audit.Trail
	signIn      *trinity.SignIn
	credentials *trinity.Credentials
	custodian   *trinity.Custodian
	counters    *counters
	clock       *clocktest.Clock
	log         *logtest.Buffer
	url         string

	pauseIsLong atomic.Bool // answers to a mailbox wait for Trinity
}

// counters are the store's, unless a test breaks them.
type counters struct {
	bridge.CounterStore
	hit, peek atomic.Bool // fail
}

var errDisk = errors.New("the disk is full")

func (c *counters) Hit(ctx context.Context, key string, limit int, window time.Duration, now time.Time) (bridge.Count, error) {
	if c.hit.Load() {
		return bridge.Count{}, errDisk
	}
	return c.CounterStore.Hit(ctx, key, limit, window, now)
}

func (c *counters) Peek(ctx context.Context, key string, limit int, now time.Time) (bridge.Count, error) {
	if c.peek.Load() {
		return bridge.Count{}, errDisk
	}
	return c.CounterStore.Peek(ctx, key, limit, now)
}

// between forwards to the simulated backend, and lets a test answer or hold back a route itself.
type between struct {
	forward http.Handler

	mu    sync.Mutex
	hooks map[string]func(w http.ResponseWriter, r *http.Request, forward http.Handler)
}

func (p *between) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	hook := p.hooks[r.URL.Path]
	p.mu.Unlock()
	if hook != nil {
		hook(w, r, p.forward)
		return
	}
	p.forward.ServeHTTP(w, r)
}

func (p *between) on(path string, hook func(w http.ResponseWriter, r *http.Request, forward http.Handler)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hooks[path] = hook
}

func answer(status int, body string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

type describer struct{}

func (describer) Describe(context.Context, bridge.AuthorizationRequest) templates.Client {
	return templates.Client{Name: "Example", RedirectHost: "client.example.com"}
}

// deploymentID is the deployment's of all tests.
const deploymentID = "abcdefghijklmnopqrstuvwxyz"

func start(t *testing.T, switches trinitytest.Switches) *bench {
	t.Helper()
	b := &bench{t: t, clock: clocktest.At(time.Now().Truncate(time.Second)), log: &logtest.Buffer{}}
	var err error
	b.trinity, err = trinitytest.Start(trinitytest.Options{
		Now: b.clock.Now, Switches: switches,
		People: append(trinitytest.DefaultPeople(), trinitytest.Person{Username: "carol", Email: "carol@example.com"}),
	})
	b.must(err)
	t.Cleanup(func() { _ = b.trinity.Close() })
	target := parse(t, b.trinity.BackendURL())
	b.between = &between{
		hooks: map[string]func(http.ResponseWriter, *http.Request, http.Handler){},
		forward: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
			},
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
			ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
				panic(http.ErrAbortHandler) // a refused connection stays one
			},
		},
	}
	backend := httptest.NewUnstartedServer(b.between)
	backend.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	backend.Start()
	t.Cleanup(backend.Close)
	b.api = trinity.NewAPI(parse(t, backend.URL))
	b.ring, err = secret.NewKeyring([]byte("0123456789abcdefghijklmnopqrstuv"))
	b.must(err)
	b.store, err = badger.Open(badger.Options{Dir: t.TempDir(), Sealer: secrettest.Ring()})
	b.must(err)
	t.Cleanup(func() { b.must(b.store.Close()) })
	b.counters = &counters{CounterStore: b.store}
	b.build()
	t.Cleanup(b.wantNoSecretInLog)
	return b
}

func (b *bench) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (b *bench) build() {
	log := b.logger()
	issuer := parse(b.t, "http://bridge.example.com")
	pages, err := templates.New(templates.Site{Issuer: issuer.String(), Operator: "Example", Contact: "help@example.com", Log: log})
	b.must(err)
	b.trail = audit.New(b.store, log, b.clock.Now)
	keeper := flow.New(flow.Options{Store: b.store, Ring: b.ring, Issuer: issuer, Now: b.clock.Now, Rand: rand.Reader})
	b.signIn = trinity.NewSignIn(trinity.SignInOptions{
		API: b.api, Flows: keeper, Ring: b.ring, Counters: b.counters, Clients: describer{}, Pages: pages,
		Sources: &federation.Step{Options: federation.Options{EmailCode: true}},
		Trail:   b.trail, Log: log, Now: b.clock.Now, Pause: func(context.Context) {
			if b.pauseIsLong.Load() {
				b.signIn.Wait()
			}
		},
	})
	b.t.Cleanup(b.signIn.Wait)
	b.credentials = trinity.NewCredentials(trinity.CredentialsOptions{
		API: b.api, Ring: b.ring, Revocations: b.store, Trail: b.trail, Log: log, Now: b.clock.Now,
		Deployment: deploymentID, Owners: b.store, Links: b.store, Flows: b.store,
	})
	b.custodian = trinity.NewCustodian(trinity.CustodianOptions{
		API: b.api, Ring: b.ring, Store: b.store, Trail: b.trail, Log: log, Now: b.clock.Now, Every: time.Hour, Deployment: deploymentID,
	})
	router := mux.NewRouter()
	b.signIn.Mount(router)
	router.HandleFunc("/begin", func(w http.ResponseWriter, r *http.Request) {
		begun, err := keeper.Begin(w, r, bridge.AuthorizationRequest{
			ClientID: "client-1", RedirectURI: "https://client.example.com/cb", LoginHint: r.URL.Query().Get("hint"),
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, begun.ID)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = r.Header.Get("Test-Remote-Addr")
		router.ServeHTTP(w, r.WithContext(audit.WithRequestID(r.Context(), "reference-1")))
	}))
	b.t.Cleanup(server.Close)
	b.url = server.URL
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// wantNoSecretInLog is the canary scan (OP-30): no address, session or key was ever logged.
func (b *bench) wantNoSecretInLog() {
	logged := b.log.String()
	for _, canary := range []string{"@example.com", "eyJ", "trinity_mcp_", "192.0.2."} {
		if strings.Contains(logged, canary) {
			b.t.Errorf("the log holds %q:\n%s", canary, logged)
		}
	}
}

// sent returns what the backend was asked on a path.
func (b *bench) sent(path string) []trinitytest.Request {
	var found []trinitytest.Request
	for _, r := range b.trinity.Requests() {
		if r.Side == trinitytest.SideBackend && r.Path == path {
			found = append(found, r)
		}
	}
	return found
}

const (
	pathRequest = "/api/auth/email/request"
	pathVerify  = "/api/auth/email/verify"
	pathFactor  = "/api/enterprise/2fa/login/verify"
	pathMe      = "/api/users/me"
	pathKeys    = "/api/mcp/keys"
	pathLogout  = "/api/auth/logout"
)

func (b *bench) wantSent(path string, n int) {
	b.t.Helper()
	if got := len(b.sent(path)); got != n {
		b.t.Errorf("Trinity was asked %s %d times, want %d", path, got, n)
	}
}

func (b *bench) flow(id string) bridge.Flow {
	b.t.Helper()
	stored, err := b.store.Flow(b.t.Context(), id, b.clock.Now())
	b.must(err)
	return stored
}

func (b *bench) wantStep(id string, step bridge.Step) bridge.Flow {
	b.t.Helper()
	stored := b.flow(id)
	if stored.Step != step {
		b.t.Errorf("the flow is at %q, want %q", stored.Step, step)
	}
	return stored
}

// wantEvents compares kind:outcome of all audit events, oldest first, and checks that none names
// a person before somebody signed in.
func (b *bench) wantEvents(want ...string) {
	b.t.Helper()
	b.signIn.Wait()
	b.trail.Flush(context.Background())
	trail, err := b.store.AuditTrail(context.Background(), "", 100)
	b.must(err)
	var got []string
	for _, event := range trail {
		got = append([]string{event.Kind + ":" + event.Outcome}, got...)
		if strings.Contains(event.Detail+event.PersonID+event.Outcome, "@") {
			b.t.Errorf("an event holds an address: %+v", event)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		b.t.Errorf("audit trail\n got %v\nwant %v", got, want)
	}
}
