//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

// alice may sign in at every simulated Trinity.
const alice = "alice@example.com"

// A bridge is the running program and what stands behind it.
type bridge struct {
	*program
	connector string // what a person gives to their client
	origin    string // the issuer
	dataDir   string
	nextCode  func(t *testing.T) string // the e-mail code that Trinity sends next
	upstream  *upstream                 // nil in demo mode, which brings its own

	args []string
	env  []string
	past []*program // runs that were killed
}

var (
	readyLine = regexp.MustCompile(`^ready: .*?(https?://\S+)`)
	codeLine  = regexp.MustCompile(`^sign-in code for (\S+): ([0-9]{6})$`)
)

// startDemo runs the program with its own simulated Trinity.
func startDemo(t *testing.T) *bridge {
	t.Helper()
	b := &bridge{dataDir: t.TempDir()}
	b.args = []string{
		"demo", "--data", b.dataDir,
		"--listen", fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t)),
		"--operator-listen", fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t)),
	}
	b.nextCode = func(t *testing.T) string {
		t.Helper()
		l := b.await(t, "a sign-in code for "+alice, func(l line) bool {
			found := codeLine.FindStringSubmatch(l.text)
			return !l.stderr && found != nil && found[1] == alice
		})
		return codeLine.FindStringSubmatch(l.text)[2]
	}
	b.run(t)
	return b
}

// startServe runs the program as an operator would, before a FastMCP server and a simulated backend.
func startServe(t *testing.T) *bridge {
	t.Helper()
	up := startUpstream(t)
	b := &bridge{dataDir: t.TempDir(), args: []string{"serve"}, upstream: up, nextCode: up.nextCode}
	port := bridgetest.FreePort(t)
	b.origin = fmt.Sprintf("http://127.0.0.1:%d", port)
	b.connector = b.origin + "/mcp"
	b.env = []string{
		"TRINITY_BRIDGE_PUBLIC_URL=" + b.origin,
		fmt.Sprintf("TRINITY_BRIDGE_LISTEN=127.0.0.1:%d", port),
		fmt.Sprintf("TRINITY_BRIDGE_OPERATOR_LISTEN=127.0.0.1:%d", bridgetest.FreePort(t)),
		"TRINITY_BRIDGE_TRINITY_URL=" + up.trinity.BackendURL(),
		"TRINITY_BRIDGE_MCP_URL=" + up.endpoint,
		"TRINITY_BRIDGE_DATA=" + b.dataDir,
	}
	b.run(t)
	return b
}

// run starts the program and waits until it would take a client.
func (b *bridge) run(t *testing.T) {
	t.Helper()
	b.program = start(t, "trinity-bridge "+b.args[0], b.env, bridgePath, b.args...)
	if b.args[0] == "demo" {
		l := b.await(t, "its ready line", func(l line) bool { return !l.stderr && readyLine.MatchString(l.text) })
		b.connector = readyLine.FindStringSubmatch(l.text)[1]
		at, err := url.Parse(b.connector)
		if err != nil {
			t.Fatalf("connector URL: %v", err)
		}
		b.origin = at.Scheme + "://" + at.Host
	}
	b.awaitChallenge(t)
}

// awaitChallenge asks the MCP endpoint without a token until it answers 401. It answers 503 for as long as
// the program has not seen the upstream refuse an anonymous call.
func (b *bridge) awaitChallenge(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last string
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.connector, strings.NewReader("{}"))
		if err != nil {
			t.Fatalf("request to %s: %v", b.connector, err)
		}
		response, err := httpClient.Do(request)
		if err != nil {
			last = err.Error()
		} else {
			last = response.Status
			response.Body.Close()
			if response.StatusCode == http.StatusUnauthorized {
				return
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-b.ended:
			t.Fatalf("%s ended (%v) before it took requests", b.name, b.cmd.ProcessState)
		case <-ctx.Done():
			t.Fatalf("%s does not ask for a token: %s", b.connector, last)
		}
	}
}

// crash kills the program in the middle of its work and starts it again on the same data. Its signing keys must be
// the same after.
func (b *bridge) crash(t *testing.T) {
	t.Helper()
	before := b.signingKeys(t)
	b.kill()
	b.past = append(b.past, b.program)
	b.run(t)
	if diff := cmp.Diff(before, b.signingKeys(t)); diff != "" {
		t.Errorf("signing keys after the crash:\n%s", diff)
	}
}

func (b *bridge) signingKeys(t *testing.T) string {
	t.Helper()
	response, err := httpClient.Get(b.origin + "/oauth/jwks")
	if err != nil {
		t.Fatalf("signing keys: %v", err)
	}
	defer response.Body.Close()
	keys, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("signing keys: %s, %v", response.Status, err)
	}
	return string(keys)
}

// revokeOnlyGrant ends the one live grant with the operator's commands.
func (b *bridge) revokeOnlyGrant(t *testing.T) {
	t.Helper()
	var grants []struct{ ID, Account, Status string }
	list := b.command(t, "grants", "list", "--json", "--data", b.dataDir)
	if err := json.Unmarshal([]byte(list), &grants); err != nil {
		t.Fatalf("grants list printed %q: %v", list, err)
	}
	if len(grants) != 1 || grants[0].Account != alice || grants[0].Status != "live" {
		t.Fatalf("grants: %+v", grants)
	}
	b.command(t, "grants", "revoke", "--yes", "--data", b.dataDir, grants[0].ID)
}

// command runs another command of the program and returns what it printed.
func (b *bridge) command(t *testing.T, args ...string) string {
	t.Helper()
	p := start(t, "trinity-bridge "+args[0], nil, bridgePath, args...)
	if code := p.exitCode(t); code != 0 {
		t.Fatalf("trinity-bridge %s ended with %d", strings.Join(args, " "), code)
	}
	return p.output()
}

// wantDiscreet stops the program and looks for the secrets in all that it printed and kept, and for Trinity keys in
// what the clients told.
func (b *bridge) wantDiscreet(t *testing.T, secrets canaries, clients ...*program) {
	t.Helper()
	b.stop()
	for _, client := range clients {
		if staticKey.MatchString(client.output()) {
			t.Errorf("%s was shown a Trinity key", client.name)
		}
	}
	for _, p := range append(b.past, b.program) {
		var printed strings.Builder
		for text := range strings.Lines(p.output()) {
			if !codeLine.MatchString(strings.TrimSuffix(text, "\n")) { // demo mode's mailbox
				printed.WriteString(text)
			}
		}
		secrets.wantAbsent(t, "the output of "+p.name, []byte(printed.String()))
	}
	secrets.wantAbsentInFolder(t, "data folder", b.dataDir)
	if b.upstream != nil {
		b.upstream.wantKeysOnly(t, secrets)
	}
}

// httpClient is for the tests' own requests. It follows no redirect.
var httpClient = &http.Client{
	Timeout:       20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
