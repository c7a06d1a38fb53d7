//go:build clients

package clients

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A messages stands in for the Messages API: a model that calls one tool as soon as it is offered, and ends its turn
// once it has the answer. https://platform.claude.com/docs/en/api/messages
type messages struct {
	*httptest.Server
	arguments map[string]any

	mu      sync.Mutex
	tool    string
	answers []string // of the tool
}

func startMessages(t *testing.T, tool string, arguments map[string]any) *messages {
	t.Helper()
	m := &messages{tool: tool, arguments: arguments}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

// A messagesRequest is as much of a request as the stub's model understands.
type messagesRequest struct {
	Model    string
	Stream   bool
	Tools    []struct{ Name string }
	Messages []struct {
		Role    string
		Content json.RawMessage // a text or a list of blocks
	}
}

// A block is a piece of content.
type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text,omitempty"`
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name,omitempty"`
	Input     map[string]any  `json:"input,omitempty"`
	ToolUseID string          `json:"tool_use_id,omitempty"`
	Content   json.RawMessage `json:"content,omitempty"`
}

func (m *messages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request messagesRequest
	if err == nil {
		err = json.Unmarshal(body, &request)
	}
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v1/messages":
		http.Error(w, `{"type":"error","error":{"type":"not_found_error","message":"no such thing here"}}`, http.StatusNotFound)
	case err != nil:
		http.Error(w, `{"type":"error","error":{"type":"invalid_request_error","message":"not understood"}}`, http.StatusBadRequest)
	case request.Stream:
		m.stream(w, request)
	default:
		w.Header().Set("Content-Type", "application/json")
		answer, reason := m.answer(request)
		_ = json.NewEncoder(w).Encode(message(request.Model, []block{answer}, reason))
	}
}

// answer decides what the model says.
func (m *messages) answer(request messagesRequest) (answer block, stopReason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(request.Messages); n > 0 {
		var blocks []block
		_ = json.Unmarshal(request.Messages[n-1].Content, &blocks) // a text holds no result
		for _, b := range blocks {
			if b.Type == "tool_result" {
				m.answers = append(m.answers, text(b.Content))
				return block{Type: "text", Text: "Done."}, "end_turn"
			}
		}
	}
	if !slices.Contains(request.Tools, struct{ Name string }{m.tool}) {
		return block{Type: "text", Text: "There is no tool " + m.tool + "."}, "end_turn"
	}
	id := fmt.Sprintf("toolu_%d", len(m.answers)+1)
	return block{Type: "tool_use", ID: id, Name: m.tool, Input: m.arguments}, "tool_use"
}

// call has the model call another tool from now on.
func (m *messages) call(tool string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tool = tool
}

// answered is what the tool has answered the model.
func (m *messages) answered() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.answers)
}

// text is what a content says, given as a text or as blocks.
func text(content json.RawMessage) string {
	var plain string
	if json.Unmarshal(content, &plain) == nil {
		return plain
	}
	var blocks []block
	_ = json.Unmarshal(content, &blocks)
	var all strings.Builder
	for _, b := range blocks {
		all.WriteString(b.Text)
	}
	return all.String()
}

func message(model string, content []block, stopReason any) map[string]any {
	return map[string]any{
		"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": content,
		"stop_reason": stopReason, "stop_sequence": nil, "usage": map[string]int{"input_tokens": 1, "output_tokens": 1},
	}
}

// stream is the answer as server-sent events.
func (m *messages) stream(w http.ResponseWriter, request messagesRequest) {
	answer, reason := m.answer(request)
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(kind string, event map[string]any) {
		event["type"] = kind
		text, _ := json.Marshal(event) // only maps and texts
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, text)
	}
	opening := map[string]any{"type": answer.Type, "text": ""}
	delta := map[string]any{"type": "text_delta", "text": answer.Text}
	if answer.Type == "tool_use" {
		input, _ := json.Marshal(answer.Input)
		opening = map[string]any{"type": answer.Type, "id": answer.ID, "name": answer.Name, "input": map[string]any{}}
		delta = map[string]any{"type": "input_json_delta", "partial_json": string(input)}
	}
	send("message_start", map[string]any{"message": message(request.Model, []block{}, nil)})
	send("content_block_start", map[string]any{"index": 0, "content_block": opening})
	send("content_block_delta", map[string]any{"index": 0, "delta": delta})
	send("content_block_stop", map[string]any{"index": 0})
	send("message_delta", map[string]any{
		"delta": map[string]any{"stop_reason": reason, "stop_sequence": nil}, "usage": map[string]int{"output_tokens": 1},
	})
	send("message_stop", map[string]any{})
}
