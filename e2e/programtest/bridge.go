package programtest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// Alice may sign in at every simulated Trinity.
const Alice = "alice@example.com"

// CallArguments go through the bridge unchanged.
var CallArguments = map[string]any{"name": "research"}

// A Bridge is the running program: one process, or the replicas that bridgetest.Replicas asks for.
type Bridge struct {
	*Program         // the first replica
	Origin    string // the issuer
	Connector string // what a person gives to their client
	Data      string // its data folder; the other replicas have theirs in it
	Database  string // of replicas, "" without
	NextCode  func(t *testing.T) string

	machine *Machine
	listen  string
	env     []string
	args    []string
	running []*Program
	past    []*Program        // runs that were killed
	proxy   *bridgetest.Proxy // in front of replicas, nil without
}

var (
	readyLine = regexp.MustCompile(`^ready: .*?(https?://\S+)`)
	// CodeLine is how the demo delivers a sign-in code: to whom, and the code.
	CodeLine = regexp.MustCompile(`^sign-in code for (\S+): ([0-9]{6})$`)
)

// StartDemo runs the program with its own simulated Trinity, as a newcomer does. Replicas share one that is outside them.
func (m *Machine) StartDemo(t *testing.T, args ...string) *Bridge {
	t.Helper()
	if bridgetest.Replicas() > 0 {
		shared := StartTrinity(t)
		return m.startServe(t, "http", shared, shared.MCPURL(), nil, args...)
	}
	b := m.newBridge(t, "http")
	b.args = append([]string{"demo", "--data", b.Data, "--listen", b.listen, "--operator-listen", "127.0.0.1:0"}, args...)
	b.NextCode = func(t *testing.T) string {
		t.Helper()
		l := b.Await(t, "a sign-in code for "+Alice, func(l Line) bool {
			found := CodeLine.FindStringSubmatch(l.Text)
			return !l.Stderr && found != nil && found[1] == Alice
		})
		return CodeLine.FindStringSubmatch(l.Text)[2]
	}
	b.start(t)
	return b
}

// StartServe runs the program as an operator does, before this Trinity's backend and an MCP server.
func (m *Machine) StartServe(t *testing.T, scheme string, behind Trinity, mcpURL string, settings ...string) *Bridge {
	t.Helper()
	return m.startServe(t, scheme, behind, mcpURL, settings)
}

func (m *Machine) startServe(t *testing.T, scheme string, behind Trinity, mcpURL string, settings []string, args ...string) *Bridge {
	t.Helper()
	b := m.newBridge(t, scheme)
	b.args, b.NextCode = append([]string{"serve"}, args...), behind.NextCode
	b.env = append([]string{
		"TRINITY_BRIDGE_PUBLIC_URL=" + b.Origin,
		"TRINITY_BRIDGE_OPERATOR_LISTEN=127.0.0.1:0",
		"TRINITY_BRIDGE_TRINITY_URL=" + behind.BackendURL(),
		"TRINITY_BRIDGE_MCP_URL=" + mcpURL,
		"TRINITY_BRIDGE_DOCUMENT_POLICY=allow-list", // with pinned documents alone on it: nothing leaves the machine
	}, settings...)
	if bridgetest.Replicas() > 0 {
		b.Database = bridgetest.NewDatabase(t)
		b.env = append(b.env, "TRINITY_BRIDGE_STORE="+b.Database, "TRINITY_BRIDGE_SECRET="+rand.Text()+rand.Text())
		balance := bridgetest.StartBalancer
		if scheme == "https" { // of which a proxy without the key sees connections only
			balance = bridgetest.StartProxy
		}
		b.proxy = balance(t, b.listen)
	}
	b.start(t)
	return b
}

func (m *Machine) newBridge(t *testing.T, scheme string) *Bridge {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t))
	origin := scheme + "://" + listen
	return &Bridge{machine: m, Origin: origin, Connector: origin + "/mcp", listen: listen, Data: t.TempDir()}
}

// start runs the program and waits until it would take a client.
func (b *Bridge) start(t *testing.T) {
	t.Helper()
	b.running = nil
	switch {
	case b.args[0] == "demo":
		b.startOne(t, b.listen)
		l := b.running[0].Await(t, "its ready line", func(l Line) bool { return !l.Stderr && readyLine.MatchString(l.Text) })
		if got := readyLine.FindStringSubmatch(l.Text)[1]; got != b.Connector {
			t.Fatalf("the demo gives %s to paste, want %s", got, b.Connector)
		}
	case b.proxy == nil:
		b.startOne(t, b.listen)
	default:
		var listen []string
		for range bridgetest.Replicas() {
			listen = append(listen, fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t)))
			b.startOne(t, listen[len(listen)-1])
		}
		b.proxy.Serve(listen...)
	}
	b.Program = b.running[0]
}

// startOne runs it once, listening there, and waits until that one would take a client.
func (b *Bridge) startOne(t *testing.T, listen string) {
	t.Helper()
	env := b.env
	if b.args[0] != "demo" {
		env = append(slices.Clone(env), "TRINITY_BRIDGE_LISTEN="+listen, "TRINITY_BRIDGE_DATA="+b.folder(len(b.running)))
	}
	p := b.machine.NewHome(t).Start(t, "trinity-bridge "+b.args[0], env, b.machine.Bridge, b.args...)
	b.running = append(b.running, p)
	b.awaitChallenge(t, p, listen)
}

// folder is the data folder of the n-th replica.
func (b *Bridge) folder(n int) string {
	if n == 0 {
		return b.Data
	}
	return filepath.Join(b.Data, fmt.Sprint("replica-", n))
}

// Folders are the data folders of all that runs.
func (b *Bridge) Folders() []string {
	var all []string
	for n := range b.running {
		all = append(all, b.folder(n))
	}
	return all
}

// Crash kills the program, with all its replicas, in the middle of its work and starts it again on the same data.
func (b *Bridge) Crash(t *testing.T) {
	t.Helper()
	for _, p := range b.running {
		p.Kill()
	}
	b.past = append(b.past, b.running...)
	b.start(t)
}

// Restart ends what runs in order and starts it again with more settings.
func (b *Bridge) Restart(t *testing.T, settings ...string) {
	t.Helper()
	b.Stop()
	b.past = append(b.past, b.running...)
	b.env = append(slices.Clone(b.env), settings...)
	b.start(t)
}

// Stop asks all that runs to end.
func (b *Bridge) Stop() {
	for _, p := range b.running {
		p.Stop()
	}
}

// Runs are all there were, those that were killed among them.
func (b *Bridge) Runs() []*Program { return append(slices.Clone(b.past), b.running...) }

// awaitChallenge asks the MCP endpoint of one that runs without a token until it answers 401. It answers 503 for as
// long as the program has not seen the upstream refuse an anonymous call.
func (b *Bridge) awaitChallenge(t *testing.T, p *Program, listen string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	endpoint, err := url.Parse(b.Connector)
	if err != nil {
		t.Fatal(err)
	}
	public := endpoint.Host
	endpoint.Host = listen
	var last string
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.String(), strings.NewReader("{}"))
		if err != nil {
			t.Fatalf("request to %s: %v", endpoint, err)
		}
		request.Host = public
		response, err := HTTPClient.Do(request)
		if err != nil {
			last = err.Error()
		} else {
			last = response.Status
			_ = response.Body.Close()
			if response.StatusCode == http.StatusUnauthorized {
				return
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-p.Ended:
			t.Fatalf("%s ended (%v) before it took requests", p.Name, p.cmd.ProcessState)
		case <-ctx.Done():
			t.Fatalf("%s does not ask for a token: %s", endpoint, last)
		}
	}
}

// Command runs another command of the program on this one's data and returns what that printed.
func (b *Bridge) Command(t *testing.T, args ...string) string {
	t.Helper()
	args = append(args, "--data", b.Data)
	return b.machine.NewHome(t).Run(t, "trinity-bridge", nil, b.machine.Bridge, args...)
}

// Maintain runs a command for which the program must not run, with the settings it runs with and more.
func (b *Bridge) Maintain(t *testing.T, settings []string, args ...string) string {
	t.Helper()
	b.Stop()
	env := append(slices.Clone(b.env), "TRINITY_BRIDGE_DATA="+b.Data)
	return b.machine.NewHome(t).Run(t, "trinity-bridge", append(env, settings...), b.machine.Bridge, args...)
}

// A Grant is what the operator sees of one.
type Grant struct {
	ID, Account, Status, Scope string
	ClientID                   string `json:"client_id"`
}

// Grants are all of them, newest first.
func (b *Bridge) Grants(t *testing.T) []Grant {
	t.Helper()
	list := b.Command(t, "grants", "list", "--json")
	var grants []Grant
	if err := json.Unmarshal([]byte(list), &grants); err != nil {
		t.Fatalf("grants list printed %q: %v", list, err)
	}
	return grants
}

// Revoke ends a grant as the operator does, and waits until all replicas know.
func (b *Bridge) Revoke(t *testing.T, grant Grant) {
	t.Helper()
	b.Command(t, "grants", "revoke", "--yes", grant.ID)
	bridgetest.Settle()
}

// HTTPClient is for the tests' own requests. It follows no redirect.
var HTTPClient = &http.Client{
	Timeout:       20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
