//go:build e2e

package foreign_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

const (
	artifacts    = "../artifacts"
	providerID   = "trinity-bridge"
	providerWord = "a-secret-of-the-provider-for-tests"
)

// idp is a real identity provider on this machine, and what a person does on its pages.
type idp struct {
	name   string
	issuer string
	id     string // our client there
	secret string
	key    *ecdsa.PrivateKey // in the place of a secret
	more   string            // of the source in the configuration file
	steps  []map[string]any
	// cookies is the file that the person's browser keeps its cookies in, "" for another browser each time.
	cookies string
	visit   []map[string]string // what is done at the person's own connections, in the place of connecting
}

// yaml declares the provider as an identity source.
func (p idp) yaml(t *testing.T) string {
	t.Helper()
	path, text, proof := filepath.Join(t.TempDir(), "proof"), []byte(p.secret), "client_secret_file"
	if p.key != nil {
		der, err := x509.MarshalPKCS8PrivateKey(p.key)
		if err != nil {
			t.Fatal(err)
		}
		text, proof = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), "client_key_file"
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("  - name: %s\n    label: The %s login\n    issuer: %s\n    client_id: %s\n    %s: %s\n%s",
		p.name, p.name, p.issuer, p.id, proof, path, p.more)
}

// startBehind starts a bridge at the address with the providers as its sources. Providers know our
// redirect URI before the bridge runs, so the address is chosen first.
func startBehind(t *testing.T, address string, sources []idp, options ...bridgetest.Option) *bridgetest.Bridge {
	t.Helper()
	file := "identity_sources:\n"
	for _, source := range sources {
		file += source.yaml(t)
	}
	short := bridgetest.With(func(f *config.Flags) { f.AccessLifetime = "5m" })
	b := bridgetest.Start(t, append([]bridgetest.Option{short, bridgetest.At(address), bridgetest.WithFile(file)}, options...)...)
	b.Clock.Follow(t.Context())
	for _, source := range sources {
		if len(source.secret) > 8 { // the example provider's own is an ordinary word
			b.Secret(source.secret)
		}
	}
	return b
}

// chromiumPerson is a person at Chromium who signs in at the provider.
func chromiumPerson(b *bridgetest.Bridge, p idp, choose bool, email string) func(*testing.T, string) url.Values {
	return func(t *testing.T, authorizeURL string) url.Values {
		t.Helper()
		last := chromiumWalk(t, b, p, choose, authorizeURL, email, "")
		at, err := url.Parse(last["url"])
		if err != nil || last["event"] != "arrived" {
			t.Fatalf("the walk ended with %v", last)
		}
		return at.Query()
	}
}

// chromiumWalk runs the walk and returns its last line.
func chromiumWalk(t *testing.T, b *bridgetest.Bridge, p idp, choose bool, authorizeURL, email, stopAt string) map[string]string {
	t.Helper()
	source := ""
	if choose {
		source = "The " + p.name + " login"
	}
	argument, err := json.Marshal(map[string]any{
		"executable": chromium(t), "url": authorizeURL, "source": source, "steps": p.steps, "redirectUrl": redirect,
		"screenshots": artifacts, "prefix": "source-" + p.name, "stopAt": stopAt, "cookies": p.cookies, "visit": p.visit,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(artifacts, 0o750); err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs(artifacts)
	if err != nil {
		t.Fatal(err)
	}
	argument = []byte(strings.Replace(string(argument), `"../artifacts"`, `"`+folder+`"`, 1))
	walk := exec.CommandContext(t.Context(), node(t), "provider-signin.mjs", string(argument))
	walk.Dir, walk.Stderr = "../node", os.Stderr
	in, err := walk.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := walk.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := walk.Start(); err != nil {
		t.Fatal(err)
	}
	last := map[string]string{}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := map[string]string{}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("the walk said %q: %v", lines.Text(), err)
		}
		switch line["event"] {
		case "console":
			t.Errorf("on a page of the bridge, Chromium complains: %s", line["text"])
		case "code_wanted":
			code := b.Trinity.LastCode(email)
			b.Secret(code)
			if _, err := io.WriteString(in, code+"\n"); err != nil {
				t.Fatal(err)
			}
		default:
			last = maps.Clone(line)
		}
	}
	if err := walk.Wait(); err != nil {
		t.Fatalf("the walk through %s failed: %v, %v", p.name, last, err)
	}
	return last
}

// chromium takes CHROMIUM from the environment or the first Chromium on the path.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); name != "" && err == nil {
			return path
		}
	}
	t.Fatal("no Chromium: install one or name it in CHROMIUM")
	return ""
}

// node is the Node that came with the packages.
func node(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("../node/node_modules/node-*/bin/node")
	if err != nil || len(found) == 0 {
		t.Fatalf("no Node in e2e/node: make e2e installs it (%v)", err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start starts a provider and waits until it describes itself.
func start(t *testing.T, command *exec.Cmd, issuer string, patience time.Duration) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "provider.log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	command.WaitDelay = 5 * time.Second
	// What the program starts ends with it: Keycloak's script has the JVM beside itself.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { defer close(over); _ = command.Wait() }()
	t.Cleanup(func() {
		_ = command.Cancel() // if its context did not
		<-over
		_ = log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the provider said:\n%s", text[max(0, len(text)-4000):])
		}
	})
	address := strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	client := &http.Client{Transport: network, Timeout: 5 * time.Second}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-over:
			t.Fatalf("the provider for %s ended by itself", issuer)
		case <-time.After(200 * time.Millisecond):
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatalf("the provider at %s does not describe itself", issuer)
}

// startOIDCProvider starts npm's oidc-provider, which signs our ID tokens with the algorithm.
// With a key, that is how the bridge proves there who it is.
func startOIDCProvider(t *testing.T, bridgeURL, algorithm string, key *ecdsa.PrivateKey) idp {
	t.Helper()
	client := map[string]any{
		"id": providerID, "secret": providerWord, "algorithm": algorithm, "redirect": bridgeURL + "/signin/npm/callback",
		"logout": bridgeURL + "/signin/npm/logout", "signedOut": bridgeURL + "/connections/signed-out",
	}
	if key != nil {
		client["keys"] = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), Algorithm: "ES256", Use: "sig"}}}
	}
	port := bridgetest.FreePort(t)
	issuer := fmt.Sprintf("http://127.0.0.1:%d", port)
	argument, err := json.Marshal(map[string]any{
		"port": port, "clients": []any{client},
		"people": map[string]any{
			"alice": claims(alice, "staff"), "mallory": claims("mallory@example.com", "visitors"), "admin": claims(admin, "staff"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), node(t), "oidc-provider.mjs", string(argument))
	command.Dir = "../node"
	start(t, command, issuer, patience)
	return idp{
		name: "npm", issuer: issuer, id: providerID, secret: providerWord, key: key,
		more: `    scopes: [email, profile, groups, offline_access]
    algorithms: [` + algorithm + `]
    admit:
      - rule: staff
        groups: [staff]
        scope: trinity:write
`,
		steps: asLogin("alice"),
	}
}

// claims are what npm's oidc-provider says of somebody.
func claims(email string, groups ...string) map[string]any {
	return map[string]any{"email": email, "email_verified": true, "groups": groups}
}

// asLogin is somebody at its pages.
func asLogin(login string) []map[string]any {
	return []map[string]any{
		{"fill": map[string]string{"[name=login]": login, "[name=password]": "any"}, "press": "button[type=submit]"},
		{"press": "button[type=submit]", "optional": true},
	}
}

func bridgeAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", bridgetest.FreePort(t))
}

// FB-27, GW-56, GW-58: a full connection through npm's oidc-provider by go-sdk's client, with each
// algorithm.
func TestProvider_npm(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			address := bridgeAddress(t)
			source := startOIDCProvider(t, "http://"+address, algorithm, nil)
			b := startBehind(t, address, []idp{source})
			walkLinked(t, b, connectAs(t, b, "none", chromiumPerson(b, source, true, alice)))
		})
	}
}

// GW-56: the same with a key of the bridge's own in the place of a secret, at the sign-in and when the session is renewed.
func TestProvider_npm_privateKey(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	address := bridgeAddress(t)
	source := startOIDCProvider(t, "http://"+address, "ES256", key)
	b := startBehind(t, address, []idp{source})
	walkLinked(t, b, connectAs(t, b, "none", chromiumPerson(b, source, true, alice)))
	if b.Audited("grant_ended", "") != 0 || strings.Contains(b.Logs(), "did not say whether a person may still come in") {
		t.Error("the session could not be renewed")
	}
}

// walkLinked is what a client does that came in through a link: calls a tool as alice with the
// link's key, and goes on after its token died.
func walkLinked(t *testing.T, b *bridgetest.Bridge, c *client) {
	t.Helper()
	for range 2 {
		answer, err := c.call(t, "get_agent")
		if err != nil {
			t.Fatal(err)
		}
		if answer.Username != alice || !strings.HasPrefix(answer.KeyName, "trinity-bridge:link-") {
			t.Errorf("the call ran as %q with the key %q", answer.Username, answer.KeyName)
		}
		// Past the access token's life, and within that of a real provider's ID token, whose clock is not ours.
		b.Clock.Advance(6 * time.Minute)
		c.source.age(t)
	}
	// The rule gives no more than writing, so that is all the client is shown and can ask for.
	for tool, err := range c.Tools(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		if tool.Name == "delete_agent" {
			t.Error("a tool that is beyond the rule's scope is offered")
		}
	}
}

// zitadel's example provider, whose issuer ends in a slash.
func startZitadel(t *testing.T, bridgeURL string) idp {
	t.Helper()
	program := "../node/.providers/zitadel"
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("zitadel's example provider is not there: make e2e builds it (%v)", err)
	}
	program, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "users.json")
	text := `{"u-1": {"ID": "u-1", "Username": "alice", "Password": "verysecure", "FirstName": "Alice", "LastName": "Example",
		"Email": "` + alice + `", "EmailVerified": true, "PreferredLanguage": "en"}}`
	if err := os.WriteFile(users, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	port := bridgetest.FreePort(t)
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(),
		fmt.Sprintf("PORT=%d", port), "USERS_FILE="+users, "REDIRECT_URI="+bridgeURL+"/signin/zitadel/callback")
	source := idp{
		name: "zitadel", issuer: fmt.Sprintf("http://localhost:%d/", port), id: "web", secret: "secret",
		more: `    preset: zitadel
    admit:
      - rule: everybody of the company
        domains: [example.com]
        scope: trinity:write
`,
		steps: []map[string]any{
			{"fill": map[string]string{"[name=username]": "alice", "[name=password]": "verysecure"}, "press": "button[type=submit]"},
		},
	}
	start(t, command, source.issuer, patience)
	return source
}

// FB-11, GW-56: a full connection through a provider whose issuer ends in a slash. It is the one way to
// sign in, so nobody is asked to choose.
func TestProvider_zitadel(t *testing.T) {
	t.Parallel()
	address := bridgeAddress(t)
	source := startZitadel(t, "http://"+address)
	b := startBehind(t, address, []idp{source}, bridgetest.With(func(f *config.Flags) { f.EmailCode = "off" }))
	walkLinked(t, b, connectAs(t, b, "none", chromiumPerson(b, source, false, alice)))
}
