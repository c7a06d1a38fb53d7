package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Bounds on asking a server for its tools.
const (
	maxPages     = 100
	maxListBytes = 16 << 20
	askWithin    = 30 * time.Second
)

// ReadList reads a saved list: an answer to tools/list, its result, or the tools alone.
func ReadList(data []byte) ([]jsonrpc.ListedTool, error) {
	text := bytes.TrimSpace(data)
	for _, wrap := range [][2]string{{"", ""}, {`{"result":`, "}"}, {`{"result":{"tools":`, "}}"}} {
		lists, err := jsonrpc.ReadToolLists([]byte(wrap[0] + string(text) + wrap[1]))
		if err != nil {
			return nil, fmt.Errorf("it is no list of tools: %w", err)
		}
		if len(lists.Lists) > 0 {
			var all []jsonrpc.ListedTool
			for _, list := range lists.Lists { // pages
				all = append(all, list.Tools...)
			}
			return all, nil
		}
	}
	return nil, errors.New("there is no list of tools in it")
}

// AskList asks an MCP server for all of its tools. key is a Trinity key or an access token; with the
// zero one nothing is sent.
func AskList(ctx context.Context, endpoint *url.URL, key secret.Token) (listed []jsonrpc.ListedTool, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	transport := outbound.Transport()
	defer transport.CloseIdleConnections()
	a := &asker{transport: transport, endpoint: endpoint, key: key}
	if err := a.open(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close(ctx)) }()
	cursor := ""
	for range maxPages {
		params := map[string]any{}
		if cursor != "" {
			params["cursor"] = cursor
		}
		answer, err := a.ask(ctx, methodList, params)
		if err != nil {
			return nil, err
		}
		page, err := ReadList(answer)
		if err != nil {
			return nil, err
		}
		listed = append(listed, page...)
		var next struct {
			Result struct {
				NextCursor string `json:"nextCursor"`
			} `json:"result"`
		}
		if err := json.Unmarshal(answer, &next); err != nil {
			return nil, fmt.Errorf("reading a page of the list: %w", err)
		}
		if cursor = next.Result.NextCursor; cursor == "" {
			return listed, nil
		}
	}
	return nil, fmt.Errorf("the list has more than %d pages", maxPages)
}

const (
	methodList = "tools/list"
	asVersion  = "2025-11-25" // what Trinity speaks
)

// asker is a small client: it opens a session, asks and ends it.
type asker struct {
	transport http.RoundTripper
	endpoint  *url.URL
	key       secret.Token
	session   string
	last      int // id
}

func (a *asker) open(ctx context.Context) error {
	_, err := a.ask(ctx, "initialize", map[string]any{
		"protocolVersion": asVersion, "capabilities": struct{}{}, "clientInfo": map[string]string{"name": "trinity-bridge", "version": "1"},
	})
	if err != nil {
		return err
	}
	res, err := a.send(ctx, http.MethodPost, map[string]any{"jsonrpc": "2.0", "method": "notifications/initialized"})
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (a *asker) close(ctx context.Context) error {
	if a.session == "" {
		return nil
	}
	res, err := a.send(ctx, http.MethodDelete, nil)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (a *asker) send(ctx context.Context, method string, message any) (*http.Response, error) {
	body := []byte(nil)
	if message != nil {
		var err error
		if body, err = json.Marshal(message); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, a.endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("User-Agent", "trinity-bridge")
	if !a.key.IsZero() {
		req.Header.Set("Authorization", "Bearer "+a.key.Reveal())
	}
	if a.session != "" {
		req.Header.Set("Mcp-Session-Id", a.session)
		req.Header.Set("Mcp-Protocol-Version", asVersion)
	}
	res, err := a.transport.RoundTrip(req) // redirects are answers: a key is sent to nobody else
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", a.endpoint.Redacted(), err)
	}
	return res, nil
}

// ask returns the answer to one request.
func (a *asker) ask(ctx context.Context, method string, params any) ([]byte, error) {
	a.last++
	res, err := a.send(ctx, http.MethodPost, map[string]any{"jsonrpc": "2.0", "id": a.last, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("%s does not take the key (%d)", a.endpoint.Redacted(), res.StatusCode)
	default:
		return nil, fmt.Errorf("%s answered %s with %d", a.endpoint.Redacted(), method, res.StatusCode)
	}
	if id := res.Header.Get("Mcp-Session-Id"); id != "" {
		a.session = id
	}
	if kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "text/event-stream" {
		data, err := io.ReadAll(io.LimitReader(res.Body, maxListBytes))
		if err != nil {
			return nil, fmt.Errorf("reading the answer to %s: %w", method, err)
		}
		return data, a.failure(data)
	}
	return a.event(res.Body, method)
}

var errFound = errors.New("found")

// event is the answer in a stream of events.
func (a *asker) event(from io.Reader, method string) (answer []byte, err error) {
	events := &jsonrpc.Events{From: from, Max: maxListBytes, Rewrite: func(data []byte) ([]byte, error) {
		var message struct {
			ID     *int   `json:"id"`
			Method string `json:"method"`
		}
		if json.Unmarshal(data, &message) == nil && message.Method == "" && message.ID != nil && *message.ID == a.last {
			answer = bytes.Clone(data)
			return nil, errFound
		}
		return data, nil
	}}
	_, err = io.Copy(io.Discard, events)
	if answer != nil {
		return answer, a.failure(answer)
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return nil, fmt.Errorf("reading the answer to %s: %w", method, err)
}

// failure is the error an answer carries.
func (a *asker) failure(answer []byte) error {
	var message struct {
		Error *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(answer, &message); err != nil {
		return fmt.Errorf("%s sent no JSON-RPC: %w", a.endpoint.Redacted(), err)
	}
	if message.Error != nil {
		return fmt.Errorf("%s answered with error %d: %s", a.endpoint.Redacted(), message.Error.Code, printable(message.Error.Message))
	}
	return nil
}
