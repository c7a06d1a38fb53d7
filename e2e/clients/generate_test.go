//go:build clients

package clients

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A generate stands in for the Gemini API as messages does for the Messages API.
// https://ai.google.dev/api/generate-content
type generate struct {
	*httptest.Server
	tool      string
	arguments map[string]any

	mu      sync.Mutex
	answers []string // of the tool
}

func startGenerate(t *testing.T, tool string, arguments map[string]any) *generate {
	t.Helper()
	g := &generate{tool: tool, arguments: arguments}
	g.Server = httptest.NewServer(g)
	t.Cleanup(g.Close)
	return g
}

type (
	// A generateRequest is as much of a request as the stub's model understands.
	generateRequest struct {
		Tools []struct {
			FunctionDeclarations []struct{ Name string }
		}
		Contents []struct{ Parts []generatePart }
	}
	generatePart struct {
		Text             string         `json:"text,omitempty"`
		FunctionCall     map[string]any `json:"functionCall,omitempty"`
		FunctionResponse *struct {
			Response struct{ Output string }
		} `json:"functionResponse,omitempty"`
	}
)

func (g *generate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request generateRequest
	if err == nil {
		err = json.Unmarshal(body, &request)
	}
	switch {
	case r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, ":streamGenerateContent"):
		http.Error(w, `{"error":{"message":"no such thing here"}}`, http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, `{"error":{"message":"not understood"}}`, http.StatusBadRequest)
		return
	}
	text, _ := json.Marshal(map[string]any{"candidates": []any{map[string]any{ // only maps and texts
		"index": 0, "finishReason": "STOP", "content": map[string]any{"role": "model", "parts": []generatePart{g.answer(request)}},
	}}})
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, "data: %s\r\n\r\n", text)
}

// markup is what Gemini CLI puts around what tools say.
var markup = regexp.MustCompile(`</?untrusted_context>`)

// answer decides what the model says.
func (g *generate) answer(request generateRequest) generatePart {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := len(request.Contents); n > 0 {
		for _, part := range request.Contents[n-1].Parts {
			if part.FunctionResponse != nil {
				g.answers = append(g.answers, markup.ReplaceAllString(part.FunctionResponse.Response.Output, ""))
				return generatePart{Text: "Done."}
			}
		}
	}
	for _, tools := range request.Tools {
		if slices.Contains(tools.FunctionDeclarations, struct{ Name string }{g.tool}) {
			return generatePart{FunctionCall: map[string]any{"name": g.tool, "args": g.arguments}}
		}
	}
	return generatePart{Text: "There is no tool " + g.tool + "."}
}

// answered is what the tool has answered the model.
func (g *generate) answered() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.answers)
}
