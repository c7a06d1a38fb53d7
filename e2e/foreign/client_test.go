package foreign_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"golang.org/x/oauth2"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

const (
	alice = "alice@example.com"
	admin = "admin@example.com"
	// redirect is where the client would listen. Nothing does: the browser stops before it.
	redirect = "http://127.0.0.1:33418/callback"
	patience = time.Minute // bounds every wait; nothing is asserted about time
)

// A client is go-sdk's, with the person who sits at it.
type client struct {
	*mcp.ClientSession
	bridge *bridgetest.Bridge
	wire   *recorder
	source *agingSource
	person func(t *testing.T, authorizeURL string) url.Values // answers an authorization request

	mu      sync.Mutex
	away    bool         // the person does not sign in any more
	asked   []url.Values // the authorization requests that the person answered
	secrets []string     // what nobody but the client and the bridge may see
}

var errPersonAway = errors.New("the person does not sign in")

// connect has the client find its way in and open a session. method is how it authenticates at the token
// endpoint, "" for what the SDK takes by itself.
func connect(t *testing.T, b *bridgetest.Bridge, method string) *client {
	t.Helper()
	return connectAs(t, b, method, func(t *testing.T, authorizeURL string) url.Values {
		t.Helper()
		at, err := url.Parse(authorizeURL)
		if err != nil {
			t.Fatal(err)
		}
		w := b.NewBrowser(t)
		b.SignInAt(t, w, at.RequestURI(), alice)
		answer := b.Decide(t, w, "approve")
		if !strings.HasPrefix(w.Left, redirect+"?") {
			t.Errorf("the browser left for %s", w.Left)
		}
		return answer
	})
}

// connectAs is connect with a person who signs in in another way.
func connectAs(t *testing.T, b *bridgetest.Bridge, method string, person func(*testing.T, string) url.Values) *client {
	t.Helper()
	c := &client{bridge: b, wire: &recorder{}, person: person}
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{
			Metadata: &oauthex.ClientRegistrationMetadata{
				ClientName: "go-sdk client", RedirectURIs: []string{redirect}, TokenEndpointAuthMethod: method,
				GrantTypes: []string{"authorization_code", "refresh_token"},
			},
		},
		RequestRefreshToken: true,
		Client:              &http.Client{Transport: c.wire, Timeout: patience},
		AuthorizationCodeFetcher: func(_ context.Context, request *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			return c.signIn(t, request.URL)
		},
		NewTokenSource: func(ctx context.Context, config *oauth2.Config, first *oauth2.Token) (oauth2.TokenSource, error) {
			c.secret(config.ClientSecret)
			c.source = &agingSource{client: c, config: config, ctx: ctx, source: config.TokenSource(ctx, first)}
			return c.source, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c.ClientSession, err = mcp.NewClient(&mcp.Implementation{Name: "go-sdk client", Version: "1.0.0"}, nil).Connect(ctx,
		&mcp.StreamableClientTransport{Endpoint: b.MCP, HTTPClient: &http.Client{Transport: c.wire}, OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatalf("connecting after %q: %v", c.wire.until("/oauth/token"), err)
	}
	t.Cleanup(func() { _ = c.Close() })
	c.secret(c.ID())
	return c
}

// signIn is the person: opens the URL, signs in, and says yes.
func (c *client) signIn(t *testing.T, authorizeURL string) (*auth.AuthorizationResult, error) {
	t.Helper()
	c.mu.Lock()
	away := c.away
	c.mu.Unlock()
	if away {
		return nil, errPersonAway
	}
	at, err := url.Parse(authorizeURL)
	if err != nil || !strings.HasPrefix(authorizeURL, c.bridge.URL+"/") {
		t.Errorf("the client opens %q (%v)", authorizeURL, err)
		return nil, errPersonAway
	}
	answer := c.person(t, authorizeURL)
	c.secret(answer.Get("code"))
	c.mu.Lock()
	c.asked = append(c.asked, at.Query())
	c.mu.Unlock()
	return &auth.AuthorizationResult{Code: answer.Get("code"), State: answer.Get("state"), Iss: answer.Get("iss")}, nil
}

// leave is the person going away from the browser.
func (c *client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = true
}

// signIns are the authorization requests that the person answered.
func (c *client) signIns() []url.Values {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// secret remembers what must be seen by nobody else.
func (c *client) secret(values ...string) {
	c.bridge.Secret(values...)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, value := range values {
		if value != "" && !slices.Contains(c.secrets, value) {
			c.secrets = append(c.secrets, value)
		}
	}
}

// called is what a tool answers: who it ran as.
type called struct {
	Tool      string         `json:"tool"`
	Arguments map[string]any `json:"arguments"`
	Username  string         `json:"username"`
	KeyName   string         `json:"key_name"`
}

// call calls a tool for an agent named research.
func (c *client) call(t *testing.T, tool string) (called, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := c.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"name": "research"}})
	if err != nil {
		return called{}, err
	}
	if result.IsError || len(result.Content) != 1 {
		t.Fatalf("%s answered %+v", tool, result)
	}
	text, ok := result.Content[0].(*mcp.TextContent)
	if !ok {
		t.Fatalf("%s answered a %T", tool, result.Content[0])
	}
	var answer called
	if err := json.Unmarshal([]byte(text.Text), &answer); err != nil {
		t.Fatalf("%s answered %q: %v", tool, text.Text, err)
	}
	return answer, nil
}

// An agingSource is the SDK's own source of tokens, whose token can be made as old as an hour makes it.
type agingSource struct {
	client *client
	config *oauth2.Config
	ctx    context.Context //nolint:containedctx // the SDK hands it over for the source's whole life

	mu     sync.Mutex
	source oauth2.TokenSource
}

// Token gives the token there is, or a fresh one when it is old.
func (s *agingSource) Token() (*oauth2.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token, err := s.source.Token()
	if err == nil {
		s.client.secret(token.AccessToken, token.RefreshToken)
	}
	return token, err
}

// age lets the token's time run out.
func (s *agingSource) age(t *testing.T) {
	t.Helper()
	token, err := s.Token()
	if err != nil {
		t.Fatal(err)
	}
	old := *token
	old.Expiry = time.Now().Add(-time.Minute)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source = s.config.TokenSource(s.ctx, &old)
}

// A recorder is the client's way to the network, and keeps what came back.
type recorder struct {
	mu        sync.Mutex
	exchanges []string // method, path and status
	received  bytes.Buffer
}

// RoundTrip sends a request.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := network.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exchanges = append(r.exchanges, req.Method+" "+req.URL.Path+" "+res.Status[:3])
	_ = res.Header.Write(&r.received)
	res.Body = readCloser{io.TeeReader(res.Body, r), res.Body}
	return res, nil
}

// network follows no proxy: everything is on loopback.
var network = &http.Transport{MaxIdleConnsPerHost: 16}

type readCloser struct {
	io.Reader
	io.Closer
}

// Write keeps a piece of a body.
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received.Write(p)
}

// until are the exchanges up to the first one with the path, none when there is none.
func (r *recorder) until(path string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := slices.IndexFunc(r.exchanges, func(e string) bool { return strings.Contains(e, " "+path+" ") })
	return slices.Clone(r.exchanges[:end+1])
}

// answers are all headers and bodies that the client got.
func (r *recorder) answers() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received.String()
}
