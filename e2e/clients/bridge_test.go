//go:build e2e || clients

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// alice may sign in at every simulated Trinity.
const alice = "alice@example.com"

// A bridge is the running program and what stands behind it.
type bridge struct {
	*program
	origin    string // the issuer
	connector string // what a person gives to their client
	listen    string // its public address
	data      string
	nextCode  func(t *testing.T) string // the e-mail code that Trinity sends next
}

var (
	readyLine = regexp.MustCompile(`^ready: .*?(https?://\S+)`)
	codeLine  = regexp.MustCompile(`^sign-in code for (\S+): ([0-9]{6})$`)
)

// startDemo runs the program with its own simulated Trinity, as a newcomer does.
func startDemo(t *testing.T, args ...string) *bridge {
	t.Helper()
	b := newBridge(t, "http")
	args = append([]string{"demo", "--data", b.data, "--listen", b.listen, "--operator-listen", "127.0.0.1:0"}, args...)
	b.nextCode = func(t *testing.T) string {
		t.Helper()
		l := b.await(t, "a sign-in code for "+alice, func(l line) bool {
			found := codeLine.FindStringSubmatch(l.text)
			return !l.stderr && found != nil && found[1] == alice
		})
		return codeLine.FindStringSubmatch(l.text)[2]
	}
	b.program = newHome(t).start(t, "trinity-bridge demo", nil, bridgePath, args...)
	l := b.await(t, "its ready line", func(l line) bool { return !l.stderr && readyLine.MatchString(l.text) })
	if got := readyLine.FindStringSubmatch(l.text)[1]; got != b.connector {
		t.Fatalf("the demo gives %s to paste, want %s", got, b.connector)
	}
	b.awaitChallenge(t)
	return b
}

// startServe runs the program as an operator does, before the simulated Trinity, with more settings.
func startServe(t *testing.T, settings ...string) *bridge {
	t.Helper()
	simulated := startTrinity(t)
	return simulated.serve(t, "http", simulated.MCPURL(), settings...)
}

// A trinity is a simulated Trinity in this process.
type trinity struct {
	*trinitytest.Server
	codes chan string // what it sends to alice
}

func startTrinity(t *testing.T) trinity {
	t.Helper()
	codes := make(chan string, 16)
	server, err := trinitytest.Start(trinitytest.Options{Codes: func(email, code string) {
		if email == alice {
			codes <- code
		}
	}})
	if err != nil {
		t.Fatalf("simulated Trinity: %v", err)
	}
	t.Cleanup(func() { server.Close() })
	return trinity{server, codes}
}

func (s trinity) nextCode(t *testing.T) string {
	t.Helper()
	select {
	case code := <-s.codes:
		return code
	case <-time.After(patience):
		t.Fatalf("Trinity sent no code to %s within %v", alice, patience)
		return ""
	}
}

// serve runs the program before this Trinity's backend and an MCP server.
func (s trinity) serve(t *testing.T, scheme, mcpURL string, settings ...string) *bridge {
	t.Helper()
	b := newBridge(t, scheme)
	b.nextCode = s.nextCode
	b.program = newHome(t).start(t, "trinity-bridge serve", append([]string{
		"TRINITY_BRIDGE_PUBLIC_URL=" + b.origin,
		"TRINITY_BRIDGE_LISTEN=" + b.listen,
		"TRINITY_BRIDGE_OPERATOR_LISTEN=127.0.0.1:0",
		"TRINITY_BRIDGE_TRINITY_URL=" + s.BackendURL(),
		"TRINITY_BRIDGE_MCP_URL=" + mcpURL,
		"TRINITY_BRIDGE_DATA=" + b.data,
		"TRINITY_BRIDGE_DOCUMENT_POLICY=allow-list", // with pinned documents alone on it: nothing leaves the machine
	}, settings...), bridgePath, "serve")
	b.awaitChallenge(t)
	return b
}

func newBridge(t *testing.T, scheme string) *bridge {
	t.Helper()
	listen := fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t))
	origin := scheme + "://" + listen
	return &bridge{origin: origin, connector: origin + "/mcp", listen: listen, data: t.TempDir()}
}

// exampleID is the id of a client that has a document, and exampleDocument what that says.
const exampleID = "https://app.example.com/oauth/client.json"

func exampleDocument(redirectURIs ...string) map[string]any {
	return map[string]any{
		"client_id": exampleID, "client_name": "Example App", "redirect_uris": redirectURIs,
		"grant_types":    []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "token_endpoint_auth_method": "none",
	}
}

// pinned is the setting that has the program take the document of a client from a folder, for its real address is
// out of reach here.
func pinned(t *testing.T, document map[string]any) string {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "client.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return "TRINITY_BRIDGE_PINNED_DOCUMENTS=" + folder
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
		case <-time.After(50 * time.Millisecond):
		case <-b.ended:
			t.Fatalf("%s ended (%v) before it took requests", b.name, b.cmd.ProcessState)
		case <-ctx.Done():
			t.Fatalf("%s does not ask for a token: %s", b.connector, last)
		}
	}
}

// authorizeURL is the line in which a client asks a person to open an authorization URL.
var authorizeURL = regexp.MustCompile(`^\s*(https?://127\.0\.0\.1:[0-9]+/oauth/authorize\?\S+)$`)

// awaitListening waits until something answers at the address.
func awaitListening(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			connection.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing listens at %s: %v", address, err)
		}
	}
}

// signIn takes alice through sign-in and consent, who allows what was asked for, and brings the answer to the client.
// It gives back what the client asked for.
func (b *bridge) signIn(t *testing.T, authorizeURL string) url.Values {
	t.Helper()
	onward, asked := b.allow(t, authorizeURL)
	response, err := httpClient.Get(onward.String())
	if err != nil {
		t.Fatalf("bringing the answer to the client: %v", err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		body, _ := io.ReadAll(response.Body)
		t.Fatalf("the client answered its redirect with %s:\n%s", response.Status, body)
	}
	return asked
}

// allow is signIn up to where the browser is sent to the client.
func (b *bridge) allow(t *testing.T, authorizeURL string) (onward *url.URL, asked url.Values) {
	t.Helper()
	target, err := url.Parse(authorizeURL)
	if err != nil {
		t.Fatalf("authorization URL: %v", err)
	}
	asked = target.Query()
	if at := target.Scheme + "://" + target.Host; at != b.origin || asked.Get("resource") != b.connector {
		t.Fatalf("the client asks %s for the resource %q", at, asked.Get("resource"))
	}
	web := (&bridgetest.Bridge{URL: b.origin}).NewBrowser(t).Open(t, target.RequestURI())
	web.Submit(t, "/signin", func(form url.Values) { form.Set("email", alice) })
	code := b.nextCode(t)
	web.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", code) })
	web.Submit(t, "/consent", func(form url.Values) { form.Set("decision", "approve") })
	if onward, err = url.Parse(web.Left); err != nil || onward.Query().Get("code") == "" {
		t.Fatalf("after consent the browser is at %s (%d), sent to %q:\n%s", web.URL, web.Page.Status, web.Left, web.Page.Body)
	}
	if onward.Query().Get("iss") != b.origin || onward.Query().Get("state") != asked.Get("state") {
		t.Errorf("the client is sent iss %q and state %q", onward.Query().Get("iss"), onward.Query().Get("state"))
	}
	return onward, asked
}

// A grant is what the operator sees of one.
type grant struct {
	ID, Account, Status, Scope string
	ClientID                   string `json:"client_id"`
}

// grants are all of them, newest first.
func (b *bridge) grants(t *testing.T) []grant {
	t.Helper()
	list := newHome(t).run(t, "trinity-bridge", nil, bridgePath, "grants", "list", "--json", "--data", b.data)
	var grants []grant
	if err := json.Unmarshal([]byte(list), &grants); err != nil {
		t.Fatalf("grants list printed %q: %v", list, err)
	}
	return grants
}

var eventCount = regexp.MustCompile(`(?m)^trinity_bridge_events_total\{kind="([a-z_]+)",outcome="([^"]*)"\} ([0-9]+)$`)

// events counts what the program has audited, by kind.
func (b *bridge) events(t *testing.T) map[string]int {
	t.Helper()
	var operator struct{ Address string }
	told, err := os.ReadFile(filepath.Join(b.data, "operator.json"))
	if err == nil {
		err = json.Unmarshal(told, &operator)
	}
	if err != nil {
		t.Fatalf("finding the operator's address: %v", err)
	}
	response, err := httpClient.Get("http://" + operator.Address + "/metrics")
	if err != nil {
		t.Fatalf("metrics: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("metrics: %v", err)
	}
	counts := map[string]int{}
	for _, found := range eventCount.FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.Atoi(found[3])
		counts[found[1]] += n
	}
	return counts
}

// httpClient is for the tests' own requests. It follows no redirect.
var httpClient = &http.Client{
	Timeout:       20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}
