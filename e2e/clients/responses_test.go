//go:build clients

package clients

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// A responses stands in for the Responses API as messages does for the Messages API.
// https://platform.openai.com/docs/api-reference/responses
type responses struct {
	*httptest.Server
	namespace, tool string
	arguments       map[string]any

	mu      sync.Mutex
	answers []string // of the tool
}

func startResponses(t *testing.T, namespace, tool string, arguments map[string]any) *responses {
	t.Helper()
	r := &responses{namespace: namespace, tool: tool, arguments: arguments}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// A responsesRequest is as much of a request as the stub's model understands.
type responsesRequest struct {
	Tools []struct {
		Type, Name string
		Tools      []struct{ Name string } // of a namespace
	}
	Input []struct {
		Type   string
		Output json.RawMessage
	}
}

func (s *responses) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request responsesRequest
	if err == nil {
		err = json.Unmarshal(body, &request)
	}
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/v1/responses":
		http.Error(w, `{"error":{"message":"no such thing here"}}`, http.StatusNotFound)
	case err != nil:
		http.Error(w, `{"error":{"message":"not understood"}}`, http.StatusBadRequest)
	default:
		s.stream(w, s.answer(request))
	}
}

// answer decides what the model says.
func (s *responses) answer(request responsesRequest) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(request.Input); n > 0 && request.Input[n-1].Type == "function_call_output" {
		s.answers = append(s.answers, lastText(request.Input[n-1].Output))
		return said("Done.")
	}
	call := map[string]any{
		"type": "function_call", "id": "fc_1", "call_id": fmt.Sprintf("call_%d", len(s.answers)+1), "arguments": "{}",
	}
	if input, err := json.Marshal(s.arguments); err == nil {
		call["arguments"] = string(input)
	}
	for _, tool := range request.Tools {
		switch {
		case tool.Type == "function" && tool.Name == s.namespace+"__"+s.tool:
			call["name"] = tool.Name
			return call
		case tool.Type == "namespace" && tool.Name == s.namespace && slices.Contains(tool.Tools, struct{ Name string }{s.tool}):
			call["namespace"], call["name"] = tool.Name, s.tool
			return call
		}
	}
	return said("There is no tool " + s.tool + ".")
}

// lastText is the last thing that a tool's output says; before it Codex says how long the call took.
func lastText(output json.RawMessage) string {
	var parts []struct{ Text string }
	if err := json.Unmarshal(output, &parts); err != nil || len(parts) == 0 {
		return string(output)
	}
	return parts[len(parts)-1].Text
}

func said(text string) map[string]any {
	return map[string]any{
		"type": "message", "id": "msg_1", "role": "assistant",
		"content": []any{map[string]any{"type": "output_text", "text": text, "annotations": []any{}}},
	}
}

// stream is the answer as server-sent events.
func (s *responses) stream(w http.ResponseWriter, item map[string]any) {
	w.Header().Set("Content-Type", "text/event-stream")
	response := map[string]any{"id": "resp_1", "object": "response", "status": "in_progress", "output": []any{}}
	send := func(kind string, event map[string]any) {
		event["type"] = kind
		text, _ := json.Marshal(event) // only maps and texts
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, text)
	}
	send("response.created", map[string]any{"response": response})
	send("response.output_item.done", map[string]any{"output_index": 0, "item": item})
	response["status"], response["output"] = "completed", []any{item}
	response["usage"] = map[string]any{
		"input_tokens": 1, "input_tokens_details": map[string]int{"cached_tokens": 0},
		"output_tokens": 1, "output_tokens_details": map[string]int{"reasoning_tokens": 0}, "total_tokens": 2,
	}
	send("response.completed", map[string]any{"response": response})
}

// answered is what the tool has answered the model.
func (s *responses) answered() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.answers)
}
