package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway/carry"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

const (
	methodDiscover = "server/discover"
	methodListen   = "subscriptions/listen"
)

// carriedSoFar is what a carried call has come to.
type carriedSoFar struct {
	opening  bool // it got no session
	answered bool // the upstream has answered it, so that its session is free again
	lost     bool // the upstream did not know the session, so that it did nothing
	replies  sync.WaitGroup
}

// owner is who sessions with the upstream belong to.
func (x *exchange) owner() carry.Owner {
	id := x.who.grant.ID
	if x.who.static {
		id = x.principal().String()
	}
	return carry.Owner{ID: id, Authorization: x.who.key.authorization}
}

// carry takes a call of 2026-07-28 to an upstream that serves sessions only: in one of the caller's
// own, which nobody else's call is in meanwhile (decision 0017).
func (x *exchange) carry() *refusal {
	m := x.only()
	if m.Kind != jsonrpc.Request { // a notice in no session tells nobody anything
		x.standardHeaders(x.w.Header())
		x.w.WriteHeader(http.StatusAccepted)
		return nil
	}
	plain, err := jsonrpc.Unwrap(x.data)
	if no := jsonrpc.AsError(err); no != nil {
		return malformed(no.Code, no.Message)
	}
	if err != nil {
		return x.internal(err)
	}
	s, err := x.g.carrier.Take(x.r.Context(), x.owner())
	if err != nil {
		return x.notCarried(err)
	}
	switch {
	case !s.Hello.Serves(m.Method):
		s.Done(true)
		return &refusal{status: http.StatusNotFound, code: jsonrpc.CodeMethodNotFound, message: "Trinity's MCP server does not have this method"}
	case m.Method == methodDiscover:
		s.Done(true)
		return x.answerDiscovery(&s.Hello)
	}
	x.data = plain
	no := x.sendIn(s)
	if x.told.lost && s.Used { // nothing was done, so this is no second time (GW-36)
		if s, err = x.g.carrier.Renew(x.r.Context(), s); err != nil {
			return x.notCarried(err)
		}
		no = x.sendIn(s)
	}
	return no
}

// sendIn makes the call in a session and gives the session back, unless it is lost. What the upstream
// goes on with when nobody waits any more is called off.
func (x *exchange) sendIn(s *carry.Session) *refusal {
	x.carried, x.session, x.told = s, s.ID, carriedSoFar{}
	defer func() {
		x.told.replies.Wait()
		if x.told.lost && s.Used {
			return // Renew takes it
		}
		if !x.told.answered && !x.listens() && x.ended() != nil {
			x.callOff()
		}
		s.Done(x.told.answered)
	}()
	if x.only().LogLevel != "" && s.Hello.Capabilities.Logging != nil && !s.Logs {
		s.Logs = true
		x.reply(`{"jsonrpc":"2.0","id":"trinity-bridge","method":"logging/setLevel","params":{"level":"debug"}}`)
		x.told.replies.Wait()
	}
	return x.send()
}

func (x *exchange) callOff() {
	x.reply(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + string(x.body.ID()) +
		`,"reason":"the client has withdrawn the call"}}`)
	x.told.replies.Wait()
}

// reply sends the upstream a message in the call's session, while the call goes on.
func (x *exchange) reply(message string) {
	x.told.replies.Go(func() {
		ctx, cancel := x.afterwards()
		defer cancel()
		if err := x.carried.Tell(ctx, message); err != nil {
			x.g.Log.DebugContext(ctx, "a message to the upstream was lost", "request_id", x.reference, "error", err)
		}
	})
}

// notCarried is for a session that could not be had.
func (x *exchange) notCarried(err error) *refusal {
	var status *carry.StatusError
	x.told.opening = true
	switch {
	case errors.Is(err, carry.ErrBusy):
		return unavailable("The connection has too many calls at once", err)
	case !errors.As(err, &status):
		x.ended = x.r.Context().Err
		return x.unanswered(err)
	case status.Status == http.StatusUnauthorized, status.Status == http.StatusForbidden:
		return x.keyRefused()
	case status.Status == http.StatusTooManyRequests, status.Status == http.StatusServiceUnavailable:
		return unavailable("Trinity's MCP server is busy", err)
	}
	return x.upstreamFailed(err)
}

// answerDiscovery says what the upstream said of itself when the session began.
func (x *exchange) answerDiscovery(hello *carry.Hello) *refusal {
	result := struct {
		ResultType   string             `json:"resultType"`
		Versions     []string           `json:"supportedVersions"`
		Capabilities carry.Capabilities `json:"capabilities"`
		Instructions jsontext.Value     `json:"instructions,omitzero"`
		TTL          int                `json:"ttlMs"`
		Scope        string             `json:"cacheScope"`
		Meta         map[string]any     `json:"_meta,omitzero"`
	}{ResultType: "complete", Versions: supportedVersions(), Capabilities: hello.Capabilities, Instructions: hello.Instructions, Scope: "private"}
	if hello.Server != nil {
		result.Meta = map[string]any{"io.modelcontextprotocol/serverInfo": hello.Server}
	}
	text, err := json.Marshal(result)
	if err != nil {
		return x.internal(err)
	}
	body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,"result":%s}`, x.body.ID(), text)
	if x.introduces() {
		if body, err = x.announce(body); err != nil {
			return x.internal(err)
		}
	}
	h := x.w.Header()
	x.standardHeaders(h)
	h["Content-Type"] = []string{mediaJSON}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write(body) // who has left needs no answer
	return nil
}

// carriedMethod is how a call goes upstream: what listens, as the stream of the session.
func (x *exchange) carriedMethod() string {
	if x.listens() {
		return http.MethodGet
	}
	return http.MethodPost
}

// carriedEvents makes a session's stream of events an answer of 2026-07-28.
func (x *exchange) carriedEvents(from io.Reader) io.Reader {
	events := x.events(from, x.carriedMessage)
	if x.listens() {
		return io.MultiReader(strings.NewReader(x.acknowledge(x.subscribed())), events)
	}
	return events
}

// carriedMessage is a message of a session as a client of 2026-07-28 may get it; nothing when it may
// not. The upstream was told that nobody here takes requests; one is refused all the same.
func (x *exchange) carriedMessage(data []byte) ([]byte, error) {
	answer, err := jsonrpc.ReadAnswer(data)
	if err != nil {
		return nil, fmt.Errorf("reading the upstream's answer: %w", err)
	}
	switch {
	case answer.Kind == jsonrpc.Request && answer.Method == "ping":
		x.reply(`{"jsonrpc":"2.0","id":` + string(answer.ID) + `,"result":{}}`)
		return nil, nil
	case answer.Kind == jsonrpc.Request:
		x.reply(string(jsonrpc.Refusal(answer.ID, jsonrpc.CodeMethodNotFound, "The client takes no requests", nil)))
		return nil, nil
	case x.listens():
		return x.subscription(answer.Method), nil
	case answer.Kind == jsonrpc.Response:
		x.told.answered = true
		return answer.Complete(cacheable(x.only().Method)), nil
	case answer.Method == "notifications/progress", answer.Method == "notifications/message" && audible(x.only().LogLevel, answer.Level):
		return data, nil
	}
	return nil, nil
}

// cacheable reports whether 2026-07-28 has an answer say who may keep it.
func cacheable(method string) bool {
	switch method {
	case "tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read":
		return true
	}
	return false
}

// audible reports whether a client that wants to hear messages from a level on wants this one.
func audible(wanted, level string) bool {
	levels := []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
	from := slices.Index(levels, wanted)
	return from >= 0 && slices.Index(levels, level) >= from
}

// subscriptions are the changes a client may hear of.
type subscriptions struct {
	Tools     bool `json:"toolsListChanged,omitzero"`
	Prompts   bool `json:"promptsListChanged,omitzero"`
	Resources bool `json:"resourcesListChanged,omitzero"`
}

// subscribed is what the client asked to hear of and the upstream may tell. FastMCP tells of tools that
// come and go without having said that it would (contract 4.1), so that is not asked for.
func (x *exchange) subscribed() subscriptions {
	var asked struct {
		Params struct {
			Notifications subscriptions `json:"notifications"`
		} `json:"params"`
	}
	if err := json.Unmarshal(x.data, &asked); err != nil {
		return subscriptions{} // a wish that cannot be read
	}
	has, wish := x.carried.Hello.Capabilities, asked.Params.Notifications
	return subscriptions{
		Tools: wish.Tools && has.Tools != nil, Prompts: wish.Prompts && has.Prompts != nil, Resources: wish.Resources && has.Resources != nil,
	}
}

// acknowledge is the event that begins a subscriptions/listen.
func (x *exchange) acknowledge(agreed subscriptions) string {
	text, err := json.Marshal(agreed)
	if err != nil {
		return "" // three booleans can always be written
	}
	return "event: message\ndata: " + `{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":` +
		string(text) + `,` + x.subscriptionMeta() + `}}` + "\n\n"
}

func (x *exchange) subscriptionMeta() string {
	return `"_meta":{"io.modelcontextprotocol/subscriptionId":` + string(x.body.ID()) + `}`
}

// subscription is a notice of the session's stream for who listens; nothing when it was not asked for.
func (x *exchange) subscription(method string) []byte {
	agreed := x.subscribed()
	switch {
	case method == "notifications/tools/list_changed" && agreed.Tools,
		method == "notifications/prompts/list_changed" && agreed.Prompts,
		method == "notifications/resources/list_changed" && agreed.Resources:
		return []byte(`{"jsonrpc":"2.0","method":"` + method + `","params":{` + x.subscriptionMeta() + `}}`)
	}
	return nil
}

// listenToNothing is for an upstream whose sessions have no stream: it will tell nothing.
func (x *exchange) listenToNothing() *refusal {
	h := x.w.Header()
	x.standardHeaders(h)
	h["Content-Type"] = []string{mediaEvents}
	x.w.WriteHeader(http.StatusOK)
	x.copyEvents(strings.NewReader(x.acknowledge(subscriptions{})))
	return nil
}

// endSessions ends what a grant has of sessions with the upstream, if the grant is no more.
func (g *Gateway) endSessions(grantID string) {
	ctx, cancel := context.WithTimeout(g.life, 10*time.Second)
	defer cancel()
	grant, err := g.Grants.Grant(ctx, grantID)
	if errors.Is(err, bridge.ErrNotFound) || err == nil && !grant.Alive(g.Now()) {
		g.carrier.End(grantID)
	}
}
