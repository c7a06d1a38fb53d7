package programtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// Alice may sign in at every simulated Trinity.
const Alice = "alice@example.com"

// CallArguments go through the bridge unchanged.
var CallArguments = map[string]any{"name": "research"}

// A Bridge is the running program.
type Bridge struct {
	*Program
	Origin    string // the issuer
	Connector string // what a person gives to their client
	Data      string // its data folder
	NextCode  func(t *testing.T) string
	Past      []*Program // runs that were killed

	machine *Machine
	listen  string
	env     []string
	args    []string
}

var (
	readyLine = regexp.MustCompile(`^ready: .*?(https?://\S+)`)
	// CodeLine is how the demo delivers a sign-in code: to whom, and the code.
	CodeLine = regexp.MustCompile(`^sign-in code for (\S+): ([0-9]{6})$`)
)

// StartDemo runs the program with its own simulated Trinity, as a newcomer does.
func (m *Machine) StartDemo(t *testing.T, args ...string) *Bridge {
	t.Helper()
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
	b := m.newBridge(t, scheme)
	b.args, b.NextCode = []string{"serve"}, behind.NextCode
	b.env = append([]string{
		"TRINITY_BRIDGE_PUBLIC_URL=" + b.Origin,
		"TRINITY_BRIDGE_LISTEN=" + b.listen,
		"TRINITY_BRIDGE_OPERATOR_LISTEN=127.0.0.1:0",
		"TRINITY_BRIDGE_TRINITY_URL=" + behind.BackendURL(),
		"TRINITY_BRIDGE_MCP_URL=" + mcpURL,
		"TRINITY_BRIDGE_DATA=" + b.Data,
		"TRINITY_BRIDGE_DOCUMENT_POLICY=allow-list", // with pinned documents alone on it: nothing leaves the machine
	}, settings...)
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
	b.Program = b.machine.NewHome(t).Start(t, "trinity-bridge "+b.args[0], b.env, b.machine.Bridge, b.args...)
	if b.args[0] == "demo" {
		l := b.Await(t, "its ready line", func(l Line) bool { return !l.Stderr && readyLine.MatchString(l.Text) })
		if got := readyLine.FindStringSubmatch(l.Text)[1]; got != b.Connector {
			t.Fatalf("the demo gives %s to paste, want %s", got, b.Connector)
		}
	}
	b.awaitChallenge(t)
}

// Crash kills the program in the middle of its work and starts it again on the same data.
func (b *Bridge) Crash(t *testing.T) {
	t.Helper()
	b.Kill()
	b.Past = append(b.Past, b.Program)
	b.start(t)
}

// awaitChallenge asks the MCP endpoint without a token until it answers 401. It answers 503 for as long as
// the program has not seen the upstream refuse an anonymous call.
func (b *Bridge) awaitChallenge(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	var last string
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.Connector, strings.NewReader("{}"))
		if err != nil {
			t.Fatalf("request to %s: %v", b.Connector, err)
		}
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
		case <-b.Ended:
			t.Fatalf("%s ended (%v) before it took requests", b.Name, b.cmd.ProcessState)
		case <-ctx.Done():
			t.Fatalf("%s does not ask for a token: %s", b.Connector, last)
		}
	}
}

// Command runs another command of the program on this one's data and returns what that printed.
func (b *Bridge) Command(t *testing.T, args ...string) string {
	t.Helper()
	args = append(args, "--data", b.Data)
	return b.machine.NewHome(t).Run(t, "trinity-bridge", nil, b.machine.Bridge, args...)
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

// Revoke ends a grant as the operator does.
func (b *Bridge) Revoke(t *testing.T, grant Grant) {
	t.Helper()
	b.Command(t, "grants", "revoke", "--yes", grant.ID)
}

// HTTPClient is for the tests' own requests. It follows no redirect.
var HTTPClient = &http.Client{
	Timeout:       20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
