// Command client is an MCP client made from mcp-go, from the first 401 to a call after a restart.
//
// Its argument and what it tells are those of ../node/script.mjs; it does not widen a grant.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/client"
	"github.com/mark3labs/mcp-go/client/transport"
	"github.com/mark3labs/mcp-go/mcp"
)

// told is the argument.
type told struct {
	ServerURL   string         `json:"server_url"`
	RedirectURL string         `json:"redirect_url"`
	ClientName  string         `json:"client_name"`
	Tool        string         `json:"tool"`
	Arguments   map[string]any `json:"arguments"`
	Steps       []string       `json:"steps"`
}

var saying sync.Mutex

func say(event string, more map[string]any) {
	if more == nil {
		more = map[string]any{}
	}
	text, err := json.Marshal(more)
	if err != nil {
		panic(err)
	}
	line := fmt.Appendf(nil, `{"event":%q`, event) // the test tells events by how their lines begin
	if len(more) > 0 {
		line = append(line, ',')
	}
	saying.Lock()
	defer saying.Unlock()
	fmt.Printf("%s%s\n", line, text[1:])
}

// telling is a way to the network that tells of each exchange.
type telling struct{}

func (telling) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		say("http", map[string]any{
			"method": r.Method, "path": r.URL.Path, "status": res.StatusCode, "challenge": res.Header.Get("WWW-Authenticate"),
		})
	}
	return res, err
}

// stored is what a program keeps on disk.
type stored struct {
	mu                 sync.Mutex
	token              *client.Token
	clientID, clientAs string
}

func (s *stored) GetToken(context.Context) (*client.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == nil {
		return nil, transport.ErrNoToken
	}
	token := *s.token
	return &token, nil
}

func (s *stored) SaveToken(_ context.Context, token *client.Token) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := *token
	s.token = &kept
	say("tokens", map[string]any{"access_token": token.AccessToken, "refresh_token": token.RefreshToken, "scope": token.Scope})
	return nil
}

// age lets the token's time run out.
func (s *stored) age() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token.ExpiresAt = time.Now().Add(-time.Minute)
}

// program is one process's worth of the client.
type program struct {
	told
	*client.Client
	kept *stored
}

func start(ctx context.Context, what told, kept *stored) (*program, error) {
	network := &http.Client{Transport: telling{}, Timeout: time.Minute}
	c, err := client.NewOAuthStreamableHttpClient(what.ServerURL, client.OAuthConfig{
		ClientID: kept.clientID, TokenEndpointAuthMethod: kept.clientAs, RedirectURI: what.RedirectURL, TokenStore: kept, PKCEEnabled: true, HTTPClient: network,
	}, transport.WithHTTPBasicClient(network))
	if err != nil {
		return nil, err
	}
	p := &program{what, c, kept}
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	var request mcp.InitializeRequest
	request.Params.ProtocolVersion = mcp.LATEST_PROTOCOL_VERSION
	request.Params.ClientInfo = mcp.Implementation{Name: "mcp-go client", Version: "1.0.0"}
	hello, err := c.Initialize(ctx, request)
	if client.IsOAuthAuthorizationRequiredError(err) {
		if err := p.authorize(ctx, client.GetOAuthHandler(err)); err != nil {
			return nil, err
		}
		hello, err = c.Initialize(ctx, request)
	}
	if err != nil {
		return nil, err
	}
	say("initialized", map[string]any{"server": hello.ServerInfo.Name, "protocol_version": hello.ProtocolVersion})
	return p, nil
}

// authorize registers and has a person sign in.
func (p *program) authorize(ctx context.Context, handler *transport.OAuthHandler) error {
	if handler.GetClientID() == "" {
		if err := handler.RegisterClient(ctx, p.ClientName); err != nil {
			return err
		}
		p.kept.clientID, p.kept.clientAs = handler.GetClientID(), handler.GetTokenEndpointAuthMethod()
		say("registered", map[string]any{"client_id": p.kept.clientID, "auth_method": p.kept.clientAs})
	}
	verifier, err1 := client.GenerateCodeVerifier()
	state, err2 := client.GenerateState()
	authorize, err3 := handler.GetAuthorizationURL(ctx, state, client.GenerateCodeChallenge(verifier))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	redirect, err := url.Parse(p.RedirectURL)
	if err != nil {
		return err
	}
	arrived := make(chan url.Values, 1)
	server := &http.Server{Addr: redirect.Host, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "Signed in.")
		arrived <- r.URL.Query()
	})}
	go func() { _ = server.ListenAndServe() }()
	defer func() { _ = server.Shutdown(ctx) }()
	say("authorize", map[string]any{"url": authorize})
	answer := <-arrived
	say("callback", map[string]any{"error": answer.Get("error"), "iss": answer.Get("iss")})
	return handler.ProcessAuthorizationResponse(ctx, answer.Get("code"), answer.Get("state"), verifier)
}

func (p *program) call(ctx context.Context) error {
	var request mcp.CallToolRequest
	request.Params.Name, request.Params.Arguments = p.Tool, p.Arguments
	result, err := p.CallTool(ctx, request)
	if err != nil {
		return err
	}
	text, _ := mcp.AsTextContent(result.Content[0])
	say("called", map[string]any{"is_error": result.IsError, "text": text.Text})
	return nil
}

func walk(ctx context.Context, what told) error {
	kept := &stored{}
	p, err := start(ctx, what, kept)
	if err != nil {
		return err
	}
	listed, err := p.ListTools(ctx, mcp.ListToolsRequest{})
	if err != nil {
		return err
	}
	say("tools", map[string]any{"tools": listed.Tools})
	if err := p.call(ctx); err != nil {
		return err
	}
	for _, step := range what.Steps {
		say("step", map[string]any{"step": step})
		kept.age()
		if step == "restart" {
			if p, err = start(ctx, what, kept); err != nil {
				return err
			}
		}
		if err := p.call(ctx); err != nil {
			return err
		}
	}
	say("done", nil)
	return nil
}

func main() {
	var what told
	err := json.Unmarshal([]byte(os.Args[1]), &what)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err == nil {
		err = walk(ctx, what)
	}
	if err != nil {
		say("failed", map[string]any{"error": err.Error()})
		os.Exit(1)
	}
}
