package gateway

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

const methodList = "tools/list"

// lists reports whether the answer may hold a list of tools to be changed: it was asked for, or the
// answer to an earlier request is taken up again.
func (x *exchange) lists() bool {
	asked := x.r.Method == http.MethodGet && x.r.Header[headerLastEvent] != nil ||
		slices.ContainsFunc(x.body.Messages, func(m jsonrpc.Message) bool { return m.Method == methodList && m.Kind == jsonrpc.Request })
	if !asked {
		return false
	}
	view := x.view()
	return !view.Untouched()
}

// readWhole reads a JSON answer whole and changes it.
func readWhole(from io.Reader, change func([]byte) ([]byte, error)) ([]byte, error) {
	data, err := io.ReadAll(from) // the reader of upstream answers holds it to what a message may be
	if err != nil {
		return nil, fmt.Errorf("reading an answer whole: %w", err)
	}
	return change(data)
}

// events changes a stream of events event by event.
func (x *exchange) events(from io.Reader, change func([]byte) ([]byte, error)) io.Reader {
	return &jsonrpc.Events{From: from, Max: int(x.g.Limits.MessageBytes) + bufferBytes, Rewrite: change}
}

// listEvents makes the lists in a stream of events the caller's. What is no list goes on event by
// event, as it came. An answer that should have been a list and cannot be read is told as an error
// with the request's id; a stream that is taken up again may carry any answer.
func (x *exchange) listEvents(from io.Reader) io.Reader {
	return x.events(from, func(data []byte) ([]byte, error) {
		changed, err := x.relist(data)
		switch {
		case err == nil:
			return changed, nil
		case x.r.Method == http.MethodGet:
			return data, nil
		}
		x.g.Log.LogAttrs(x.r.Context(), slog.LevelWarn, "a list of tools was not passed on",
			slog.String("request_id", x.reference), slog.Any("error", err))
		return jsonrpc.Refusal(x.body.ID(), jsonrpc.CodeInternal, "Trinity's MCP server sent a list that cannot be read", nil), nil
	})
}

// relist returns an answer with its lists as the caller may see them, or the very same bytes when
// there is none. A list that cannot be read is not passed on: nobody could say what is in it. The answer is the caller's own now, and says so (GW-27).
func (x *exchange) relist(data []byte) ([]byte, error) {
	answer, err := jsonrpc.ReadToolLists(data)
	if err != nil {
		return nil, fmt.Errorf("reading a list of tools: %w", err)
	}
	if len(answer.Lists) == 0 {
		return data, nil
	}
	view := x.view()
	if x.g.ListBeyondScope && !x.who.static {
		view.Scopes = view.Scopes.Union(x.obtainable())
	}
	for i := range answer.Lists {
		list := &answer.Lists[i]
		var unknown []string
		list.Tools, unknown = view.List(list.Tools)
		list.Private, list.Complete = true, x.modern()
		x.g.drift.Report(x.r.Context(), unknown)
	}
	return answer.Append(make([]byte, 0, len(data)+len(data)/2)), nil
}

// checkTool refuses a call of a tool that does not exist for the caller, as MCP has it for unknown
// tools: an error with the request's id, and no HTTP status that would make a client sign in anew. A
// batch has no one id to answer, so it gets a status.
func (x *exchange) checkTool() *refusal {
	view := x.view()
	for _, m := range x.body.Messages {
		if m.Method != tools.MethodCall || view.Offers(m.Name) {
			continue
		}
		no := &refusal{
			status: http.StatusOK, code: jsonrpc.CodeInvalidParams, message: "Unknown tool: the connection does not offer it",
			outcome: "tool_not_offered", detail: x.g.subject(m),
		}
		if x.body.Batch || m.Kind != jsonrpc.Request {
			no.status = http.StatusForbidden
		}
		return no
	}
	return nil
}

// UnknownTools is how many tools the upstream was seen to have that nobody has judged.
func (g *Gateway) UnknownTools() int { return g.drift.Count() }
