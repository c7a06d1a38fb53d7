package carry

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const maxHello = 1 << 20 // bytes of an answer to a question of the bridge's own

// Hello is what an upstream says of itself when a session begins.
type Hello struct {
	Version      string         `json:"protocolVersion"`
	Server       jsontext.Value `json:"serverInfo"`
	Instructions jsontext.Value `json:"instructions"`
	Capabilities Capabilities   `json:"capabilities"`
}

// Capabilities are those that both revisions have.
type Capabilities struct {
	Tools       *Changing      `json:"tools,omitzero"`
	Prompts     *Changing      `json:"prompts,omitzero"`
	Resources   *Changing      `json:"resources,omitzero"`
	Completions jsontext.Value `json:"completions,omitzero"`
	Logging     jsontext.Value `json:"logging,omitzero"`
}

// Changing is a capability whose list may change and says so.
type Changing struct {
	ListChanged bool `json:"listChanged,omitzero"`
}

// Serves reports whether a session of this upstream has a method of 2026-07-28. What a revision has
// for sessions alone, and what it has not at all, is not served.
func (h *Hello) Serves(method string) bool {
	switch method {
	case "tools/list", "tools/call":
		return h.Capabilities.Tools != nil
	case "prompts/list", "prompts/get":
		return h.Capabilities.Prompts != nil
	case "resources/list", "resources/templates/list", "resources/read":
		return h.Capabilities.Resources != nil
	case "completion/complete":
		return h.Capabilities.Completions != nil
	}
	return method == "server/discover" || method == "subscriptions/listen"
}

// handshake begins a session.
func (u *Upstream) handshake(ctx context.Context, who Owner) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeWithin)
	defer cancel()
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"` + versionSessions + `",` +
		`"capabilities":{},"clientInfo":{"name":"trinity-bridge","version":"1"}}}`
	res, err := u.send(ctx, http.MethodPost, who, http.Header{}, initialize)
	if err != nil {
		return nil, err
	}
	defer drop(res)
	if res.StatusCode != http.StatusOK {
		return nil, statusError(res)
	}
	s := &Session{ID: res.Header.Get("Mcp-Session-Id"), from: u, who: who}
	result, err := readResult(res)
	if err == nil {
		err = json.Unmarshal(result, &s.Hello)
	}
	if err == nil && !slices.Contains([]string{versionSessions, "2025-06-18", "2025-03-26", "2024-11-05"}, s.Hello.Version) {
		err = errors.New("it chose a protocol version that was not offered")
	}
	if err == nil {
		err = u.initialized(ctx, s)
	}
	if err != nil {
		u.endBehind(s) //nolint:contextcheck // it is ended whether the caller stays or not
		return nil, fmt.Errorf("beginning a session with the upstream: %w", err)
	}
	return s, nil
}

// statusError tells the oldest generation's refusal of a key from other failures (contract 4.4).
func statusError(res *http.Response) error {
	status := res.StatusCode
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	if err == nil && status == http.StatusInternalServerError && bytes.Contains(text, []byte("Error creating server")) {
		status = http.StatusUnauthorized
	}
	return &StatusError{status}
}

func (u *Upstream) initialized(ctx context.Context, s *Session) error {
	res, err := u.send(ctx, http.MethodPost, s.who, s.header(), `{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	if err != nil {
		return err
	}
	defer drop(res)
	if res.StatusCode/100 != 2 {
		return &StatusError{res.StatusCode}
	}
	return nil
}

// readResult reads an answer up to the first message with a result, and returns that.
func readResult(res *http.Response) (jsontext.Value, error) {
	in := bufio.NewReader(io.LimitReader(res.Body, maxHello))
	if kind := res.Header.Get("Content-Type"); !strings.HasPrefix(strings.ToLower(kind), "text/event-stream") {
		text, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		return resultOf(text)
	}
	var data []byte
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("reading the upstream's answer: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if value, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = append(append(data, value...), '\n')
		}
		if len(line) == 0 && len(data) > 0 {
			if result, err := resultOf(data); err == nil {
				return result, nil
			}
			data = data[:0]
		}
	}
}

func resultOf(text []byte) (jsontext.Value, error) {
	var answer struct {
		Result jsontext.Value `json:"result"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("reading the upstream's answer: %w", err)
	}
	if answer.Result.Kind() != '{' {
		return nil, errors.New("the upstream's answer has no result")
	}
	return answer.Result, nil
}
