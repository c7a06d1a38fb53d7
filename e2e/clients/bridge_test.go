//go:build e2e || clients

package clients

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// A bridge is the running program, and the browser of who uses it.
type bridge struct{ *programtest.Bridge }

// startDemo runs the program with its own simulated Trinity, as a newcomer does.
func startDemo(t *testing.T, args ...string) *bridge {
	t.Helper()
	return &bridge{machine.StartDemo(t, args...)}
}

// startServe runs the program as an operator does, before the simulated Trinity, with more settings.
func startServe(t *testing.T, settings ...string) *bridge {
	t.Helper()
	simulated := programtest.StartTrinity(t)
	return &bridge{machine.StartServe(t, "http", simulated, simulated.MCPURL(), settings...)}
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

// authorizeURL is the line in which a client asks a person to open an authorization URL.
var authorizeURL = regexp.MustCompile(`^\s*(https?://127\.0\.0\.1:[0-9]+/oauth/authorize\?\S+)$`)

// awaitListening waits until something answers at the address.
func awaitListening(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(programtest.Patience); ; time.Sleep(20 * time.Millisecond) {
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
	response, err := programtest.HTTPClient.Get(onward.String())
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
	if at := target.Scheme + "://" + target.Host; at != b.Origin || asked.Get("resource") != b.Connector {
		t.Fatalf("the client asks %s for the resource %q", at, asked.Get("resource"))
	}
	web := (&bridgetest.Bridge{URL: b.Origin}).NewBrowser(t).Open(t, target.RequestURI())
	web.Submit(t, "/signin", func(form url.Values) { form.Set("email", programtest.Alice) })
	code := b.NextCode(t)
	web.Submit(t, "/signin/code", func(form url.Values) { form.Set("code", code) })
	web.Submit(t, "/consent", func(form url.Values) { form.Set("decision", "approve") })
	if onward, err = url.Parse(web.Left); err != nil || onward.Query().Get("code") == "" {
		t.Fatalf("after consent the browser is at %s (%d), sent to %q:\n%s", web.URL, web.Page.Status, web.Left, web.Page.Body)
	}
	if onward.Query().Get("iss") != b.Origin || onward.Query().Get("state") != asked.Get("state") {
		t.Errorf("the client is sent iss %q and state %q", onward.Query().Get("iss"), onward.Query().Get("state"))
	}
	return onward, asked
}

var eventCount = regexp.MustCompile(`(?m)^trinity_bridge_events_total\{kind="([a-z_]+)",outcome="([^"]*)"\} ([0-9]+)$`)

// events counts what the program has audited, by kind.
func (b *bridge) events(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, folder := range b.Folders() {
		for _, found := range eventCount.FindAllStringSubmatch(metrics(t, folder), -1) {
			n, _ := strconv.Atoi(found[3])
			counts[found[1]] += n
		}
	}
	return counts
}

// metrics is what the one that runs on a folder tells its operator.
func metrics(t *testing.T, folder string) string {
	t.Helper()
	var operator struct{ Address string }
	told, err := os.ReadFile(filepath.Join(folder, "operator.json"))
	if err == nil {
		err = json.Unmarshal(told, &operator)
	}
	if err != nil {
		t.Fatalf("finding the operator's address: %v", err)
	}
	response, err := programtest.HTTPClient.Get("http://" + operator.Address + "/metrics")
	if err != nil {
		t.Fatalf("metrics: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("metrics: %v", err)
	}
	return string(text)
}
