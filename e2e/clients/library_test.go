//go:build e2e || clients

package clients

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// A library is an SDK with a script of ours that uses it as a program would. The scripts take the same argument and
// tell the same events.
type library struct {
	name, version string
	command       []string
	argument      map[string]any
	looksFirst    bool // it asks for the authorization URL itself before it shows that to a person
	hasty         bool // it asks for a stream before it has a session, and discovers again for the code
	unasked       bool // it signs in before the server has asked it to
	noDocument    bool // it knows no metadata documents
	noWiden       bool // it does not ask for more when a tool needs more
}

// TestPythonSDK has both lines of the Python SDK connect.
func TestPythonSDK(t *testing.T) {
	for _, l := range pythonSDKs(t) {
		testLibrary(t, l)
	}
}

// TestHostedClaude has the Python SDK, which hosted Claude is built on, connect as hosted Claude does: by its document,
// or registered with a secret that it posts. Nobody here can answer at its redirect URI, so the SDK is told what the
// browser would have brought there.
func TestHostedClaude(t *testing.T) {
	const (
		id       = "https://claude.ai/oauth/mcp-oauth-client-metadata"
		redirect = "https://claude.ai/api/mcp/auth_callback"
	)
	for _, l := range pythonSDKs(t) {
		l.argument = map[string]any{"redirect_url": redirect, "client_name": "Claude"}
		t.Run(l.version+"/DCR client_secret_post", func(t *testing.T) {
			t.Parallel()
			b := startDemo(t)
			s := l.start(t, b, map[string]any{"auth_method": "client_secret_post"})
			s.walk(t, b)
			s.wantOrderlyDiscovery(t, "POST /oauth/register 201")
			b.wantCameIn(t, s.registered(t).ClientID, cameIn{registered: 1, signedIn: 2, refreshed: 2})
		})
		t.Run(l.version+"/CIMD", func(t *testing.T) {
			t.Parallel()
			b := startServe(t, pinned(t, map[string]any{
				"client_id": id, "client_name": "Claude", "client_uri": "https://claude.ai", "redirect_uris": []string{redirect},
				"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
				"token_endpoint_auth_method": "none",
			}))
			s := l.start(t, b, map[string]any{"client_metadata_url": id})
			s.walk(t, b)
			s.wantOrderlyDiscovery(t)
			b.wantCameIn(t, id, cameIn{signedIn: 2, refreshed: 2})
		})
	}
}

// TestFastMCPClient has FastMCP's client connect. It looks at the authorization URL itself before it opens a browser.
func TestFastMCPClient(t *testing.T) {
	testLibrary(t, library{
		name: "FastMCP", version: pinnedVersion(t, "fastmcp", "fastmcp"),
		command: []string{
			programtest.MustInstalled(t, "python/venv-fastmcp/bin/python"), programtest.MustInstalled(t, "python/fastmcp_client.py"),
		},
		looksFirst: true,
	})
}

// TestAISDK has the client of Vercel's AI SDK connect, which signs in without any other library's help.
func TestAISDK(t *testing.T) {
	testLibrary(t, library{
		name: "AI SDK", version: packageVersion(t, "@ai-sdk/mcp"),
		command: []string{machine.Node, programtest.MustInstalled(t, "node/ai-sdk.mjs")},
		hasty:   true, noDocument: true, noWiden: true,
	})
}

// TestMCPGo has the client of mcp-go connect, which many servers and agents in Go are made with.
func TestMCPGo(t *testing.T) {
	client, err := machine.BuildIn("go", "mcp-go-client")
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("go/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)github\.com/mark3labs/mcp-go v(\S+)$`).FindSubmatch(module)[1]
	l := library{name: "mcp-go", version: string(version), command: []string{client}, unasked: true, noWiden: true}
	t.Run(l.version, func(t *testing.T) {
		t.Parallel()
		b := startDemo(t)
		s := l.start(t, b, nil)
		s.walk(t, b)
		s.wantOrderlyDiscovery(t, "POST /oauth/register 201")
		b.wantCameIn(t, s.registered(t).ClientID, l.cameIn(1))
	})
}

func pythonSDKs(t *testing.T) []library {
	t.Helper()
	var lines []library
	for _, line := range []string{"1", "2"} {
		lines = append(lines, library{
			name:    "Python SDK",
			version: pinnedVersion(t, line, "mcp"),
			command: []string{programtest.MustInstalled(t, "python/venv-"+line+"/bin/python"), programtest.MustInstalled(t, "python/client.py")},
		})
	}
	return lines
}

// pinnedVersion reads the version of a Python package in one of the requirements files.
func pinnedVersion(t *testing.T, file, name string) string {
	t.Helper()
	requirements, err := os.ReadFile("python/requirements-" + file + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^` + name + `==(\S+)$`).FindStringSubmatch(string(requirements))[1]
}

// TestTypeScriptSDK has the second line of the TypeScript SDK connect, as it is by default and as it is when it looks
// for the stateless protocol of 2026-07-28 first.
func TestTypeScriptSDK(t *testing.T) {
	for _, negotiation := range []string{"legacy", "auto"} {
		testLibrary(t, library{
			name:     "TypeScript SDK",
			version:  packageVersion(t, "@modelcontextprotocol/client") + " " + negotiation,
			command:  []string{machine.Node, programtest.MustInstalled(t, "node/client.mjs")},
			argument: map[string]any{"negotiation": negotiation},
		})
	}
}

// packageVersion reads the version of an npm package that is installed.
func packageVersion(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(programtest.MustInstalled(t, "node/node_modules/"+name+"/package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var about struct{ Version string }
	if err := json.Unmarshal(text, &about); err != nil {
		t.Fatal(err)
	}
	return about.Version
}

// testLibrary walks the SDK in by each way it has.
func testLibrary(t *testing.T, l library) {
	for _, method := range []string{"", "none", "client_secret_post", "client_secret_basic"} {
		name := strings.TrimSuffix(l.version+"/DCR "+method, " ")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startDemo(t)
			s := l.start(t, b, map[string]any{"auth_method": orNull(method)})
			s.walk(t, b)
			s.wantOrderlyDiscovery(t, "POST /oauth/register 201")
			registered := s.registered(t)
			if method != "" && registered.AuthMethod != method {
				t.Errorf("registered with the method %q, asked for %q", registered.AuthMethod, method)
			}
			b.wantCameIn(t, registered.ClientID, l.cameIn(1))
		})
	}
	if l.noDocument {
		return
	}
	t.Run(l.version+"/CIMD", func(t *testing.T) {
		t.Parallel()
		b := startServe(t, pinned(t, exampleDocument("http://127.0.0.1/callback", "http://localhost/callback")))
		s := l.start(t, b, map[string]any{"client_metadata_url": exampleID})
		s.walk(t, b)
		s.wantOrderlyDiscovery(t)
		b.wantCameIn(t, exampleID, l.cameIn(0))
	})
}

// cameIn is how the library came in after its walk.
func (l library) cameIn(registered int) cameIn {
	signedIn := 2
	if l.noWiden {
		signedIn = 1
	}
	return cameIn{registered: registered, signedIn: signedIn, refreshed: 2}
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// A script is a library's script at work.
type script struct {
	*programtest.Program
	library
}

func (l library) start(t *testing.T, b *bridge, more map[string]any) *script {
	t.Helper()
	steps := []string{"refresh", "restart"}
	if !l.noWiden {
		steps = append(steps, "widen")
	}
	argument := map[string]any{
		"server_url": b.Connector, "redirect_url": fmt.Sprintf("http://127.0.0.1:%d/callback", bridgetest.FreePort(t)),
		"client_name": l.name + " client", "client_metadata_url": nil, "auth_method": nil,
		"tool": "get_agent", "admin_tool": "delete_agent", "arguments": programtest.CallArguments,
		"steps": steps,
	}
	for _, also := range []map[string]any{l.argument, more} {
		for name, value := range also {
			argument[name] = value
		}
	}
	text, err := json.Marshal(argument)
	if err != nil {
		t.Fatal(err)
	}
	return &script{machine.NewHome(t).Start(t, l.name, nil, l.command[0], append(slices.Clone(l.command[1:]), string(text))...), l}
}

// What the scripts tell.
type (
	registration struct {
		ClientID   string `json:"client_id"`
		AuthMethod string `json:"auth_method"`
	}
	tokens struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		Scope        string `json:"scope"`
	}
	exchange struct {
		Method, Path string
		Status       int
		Challenge    string
	}
)

// walk is what the SDK does in the hands of alice: connect, call, go on after its token ran out, once more after a
// restart, and ask for more when a tool needs more.
func (s *script) walk(t *testing.T, b *bridge) {
	t.Helper()
	s.signIn(t, b)
	first := programtest.AwaitEvent[tokens](t, s.Program, "tokens")
	hello := programtest.AwaitEvent[struct {
		Server          string
		ProtocolVersion string `json:"protocol_version"`
	}](t, s.Program, "initialized")
	if hello.Server == "" || hello.ProtocolVersion == "" {
		t.Errorf("connected to %+v", hello)
	}
	programtest.AwaitEvent[programtest.ToolList](t, s.Program, "tools").WantTrinitys(t)
	s.wantCall(t, "get_agent")
	for _, step := range []string{"refresh", "restart"} {
		s.awaitStep(t, step)
		second := programtest.AwaitEvent[tokens](t, s.Program, "tokens")
		if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
			t.Errorf("%s: the refresh gave an old token again", step)
		}
		first = second
		s.wantCall(t, "get_agent")
	}
	if s.noWiden {
		s.wantDone(t)
		return
	}
	s.awaitStep(t, "widen")
	asked := s.signIn(t, b)
	for _, scope := range []string{"trinity:read", "trinity:write", "trinity:admin"} {
		if !slices.Contains(strings.Fields(asked), scope) {
			t.Errorf("step-up asks for the scope %q, want %s in it", asked, scope)
		}
	}
	programtest.AwaitEvent[tokens](t, s.Program, "tokens")
	s.wantCall(t, "delete_agent")
	wantKnown(t, stepUpEndsSession, len(programtest.EventsSoFar[struct{}](t, s.Program, "session_lost")) > 0)
	s.wantDone(t)
}

func (s *script) wantDone(t *testing.T) {
	t.Helper()
	programtest.AwaitEvent[struct{}](t, s.Program, "done")
	if code := s.ExitCode(t); code != 0 {
		t.Errorf("the client ended with %d", code)
	}
}

// signIn is the person's part. It gives back the scope that the client asked for.
func (s *script) signIn(t *testing.T, b *bridge) string {
	t.Helper()
	authorize := programtest.AwaitEvent[struct{ URL string }](t, s.Program, "authorize").URL
	if at, err := url.Parse(authorize); err == nil && strings.HasPrefix(at.Query().Get("redirect_uri"), "http://") {
		return b.signIn(t, authorize).Get("scope")
	}
	onward, asked := b.allow(t, authorize)
	if _, err := fmt.Fprintln(s.Stdin, onward); err != nil {
		t.Fatalf("telling %s where the browser was sent: %v", s.Name, err)
	}
	return asked.Get("scope")
}

// registered is how the SDK was registered, once.
func (s *script) registered(t *testing.T) registration {
	t.Helper()
	all := programtest.EventsSoFar[registration](t, s.Program, "registered")
	if len(all) != 1 {
		t.Fatalf("%s registered %d times", s.Name, len(all))
	}
	return all[0]
}

func (s *script) awaitStep(t *testing.T, want string) {
	t.Helper()
	if got := programtest.AwaitEvent[struct{ Step string }](t, s.Program, "step").Step; got != want {
		t.Fatalf("the client is at the step %q, want %q", got, want)
	}
}

// wantCall waits for the answer of the next tool call.
func (s *script) wantCall(t *testing.T, tool string) {
	t.Helper()
	result := programtest.AwaitEvent[struct {
		IsError bool `json:"is_error"`
		Text    string
	}](t, s.Program, "called")
	if result.IsError {
		t.Fatalf("the tool failed: %s", result.Text)
	}
	programtest.WantRanAsAlice(t, tool, result.Text)
}

// wantOrderlyDiscovery checks the way from the first 401 to the tokens: nothing was guessed, nothing failed.
func (s *script) wantOrderlyDiscovery(t *testing.T, registration ...string) {
	t.Helper()
	var got []string
	for _, e := range programtest.EventsSoFar[exchange](t, s.Program, "http") {
		// What is hasty gets two of these, the second one perhaps amid the discovery that the first one began.
		if !s.hasty || e.Path != "/mcp" || e.Status != http.StatusUnauthorized {
			got = append(got, fmt.Sprintf("%s %s %d", e.Method, e.Path, e.Status))
		}
		if strings.HasSuffix(e.Path, "/token") {
			break
		}
	}
	discovery := []string{"GET /.well-known/oauth-protected-resource/mcp 200", "GET /.well-known/oauth-authorization-server 200"}
	want := slices.Concat([]string{"POST /mcp 401"}, discovery, registration)
	if s.unasked || s.hasty {
		want = want[1:]
	}
	if s.hasty {
		want = append(want, discovery...)
	}
	if s.looksFirst {
		want = append(want, "GET /oauth/authorize 303")
	}
	want = append(want, "POST /oauth/token 200")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exchanges up to the first token (-want +got):\n%s", diff)
	}
}
