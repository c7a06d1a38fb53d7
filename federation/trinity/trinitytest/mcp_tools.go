package trinitytest

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// listTools is what the opener of a session sees (contract §4.5, §4.7). Tools carry a name, a description
// and a schema; no title and no annotations (§5).
func (o *orchestrator) listTools(opener principal) []listedTool {
	listed := []listedTool{}
	for _, t := range o.visibleTools(opener) {
		listed = append(listed, listedTool{Description: t.description, InputSchema: t.schema, Name: t.name})
	}
	return listed
}

type listedTool struct {
	Description string         `json:"description"`
	InputSchema jsontext.Value `json:"inputSchema"`
	Name        string         `json:"name"`
}

func (o *orchestrator) visibleTools(opener principal) []tool {
	visible := slices.DeleteFunc(slices.Clone(o.catalogue), func(t tool) bool { return !t.audience.includes(opener.scope) })
	if !audienceOperator.includes(opener.scope) {
		return visible
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, slug := range o.exposed {
		visible = append(visible, dynamicTool(slug))
	}
	return visible
}

type toolResult struct {
	Content []textContent `json:"content"`
	IsError bool          `json:"isError,omitzero"`
}

type textContent struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func resultOf(text string, isError bool) toolResult {
	return toolResult{Content: []textContent{{Type: "text", Text: text}}, IsError: isError}
}

// callTool runs a tool as the owner of the key that came with this call, whoever opened the session. A
// tool the opener does not see is unknown. Arguments are taken as they are and told back.
func (o *orchestrator) callTool(ctx context.Context, c call) (any, *rpcError) {
	var p struct {
		Name      string         `json:"name"`
		Arguments jsontext.Value `json:"arguments"`
		Meta      struct {
			ProgressToken jsontext.Value `json:"progressToken"`
		} `json:"_meta"`
	}
	if c.params == nil || unmarshal(c.params, &p) != nil || p.Name == "" {
		return nil, &rpcError{codeInternalError, "Invalid input: expected string at params.name"}
	}
	visible := o.visibleTools(c.session.opener)
	i := slices.IndexFunc(visible, func(t tool) bool { return t.name == p.Name })
	if i < 0 {
		return nil, &rpcError{codeMethodNotFound, "MCP error -32601: Unknown tool: " + p.Name}
	}
	t := visible[i]
	if p.Arguments == nil {
		p.Arguments = jsontext.Value("{}")
	}
	if p.Arguments.Kind() != '{' {
		return nil, &rpcError{codeInternalError, "Invalid input: expected object at params.arguments"}
	}
	if t.self && c.who.scope == scopeUser {
		return resultOf(string(mustMarshal(map[string]any{
			"error": "agent_key_required", "tool": t.name,
			"message": "This tool acts as the calling agent; call it with an agent key.",
		})), false), nil
	}
	username, err := o.actAs(ctx, t, c.who)
	if err != nil {
		return resultOf("Tool '"+t.name+"' execution failed: "+err.Error(), true), nil
	}
	if t.chats {
		o.chatSlowly(ctx, p.Arguments, p.Meta.ProgressToken, c.progress)
	}
	return resultOf(string(mustMarshal(struct {
		Tool      string         `json:"tool"`
		Arguments jsontext.Value `json:"arguments"`
		Username  string         `json:"username"`
		KeyName   string         `json:"key_name"`
	}{t.name, p.Arguments, username, c.who.keyName})), false), nil
}

// actAs makes the tool's backend call with the caller's key and returns the account it ran as. This is
// where a suspended owner is noticed: the key was valid, the call is not (contract §3.4).
func (o *orchestrator) actAs(ctx context.Context, t tool, who principal) (username string, err error) {
	if who.key == "" {
		return who.username, nil // the server's own administrator login
	}
	method, path := http.MethodGet, "/api/users/me"
	if t.audience == audienceConnector {
		method, path = http.MethodPost, "/api/agents/"+who.agentName+"/chat"
		if t.name == "list_playbooks" {
			method, path = http.MethodGet, "/api/agents/"+who.agentName+"/connector/playbooks"
		}
	}
	var account struct {
		Username string `json:"username"`
	}
	err = o.askBackend(ctx, method, path, who, &account)
	return account.Username, err
}

// slowMessage is a chat message that asks for a slow answer, such as "slow 3".
var slowMessage = regexp.MustCompile(`^slow ([1-9][0-9]{0,2})$`)

// chatSlowly sends as many progress notifications as the message asks for, if the caller wants progress
// at all (a progressToken), one step apart.
func (o *orchestrator) chatSlowly(ctx context.Context, arguments, token jsontext.Value, send func([]byte)) {
	var p struct {
		Message string `json:"message"`
	}
	if unmarshal(arguments, &p) != nil {
		return
	}
	match := slowMessage.FindStringSubmatch(p.Message)
	if match == nil {
		return
	}
	total, _ := strconv.Atoi(match[1]) // three digits, as the pattern says
	for i := range total {
		if !pause(ctx, o.progressStep) {
			return
		}
		if token != nil {
			send(progressNotification(i+1, total, token))
		}
	}
}

func progressNotification(progress, total int, token jsontext.Value) []byte {
	type params struct {
		Progress int            `json:"progress"`
		Total    int            `json:"total"`
		Token    jsontext.Value `json:"progressToken"`
	}
	return mustMarshal(struct {
		Method  string `json:"method"`
		Params  params `json:"params"`
		JSONRPC string `json:"jsonrpc"`
	}{"notifications/progress", params{progress, total, token}, "2.0"})
}

// listChanged is sent when an agent's own tool appears or disappears.
var listChanged = []byte(`{"method":"notifications/tools/list_changed","jsonrpc":"2.0"}`)

// expose adds or removes an agent's own tool and tells every session.
func (o *orchestrator) expose(slug string, on bool) {
	o.mu.Lock()
	was := slices.Contains(o.exposed, slug)
	if on && !was {
		o.exposed = append(o.exposed, slug)
	}
	if !on && was {
		o.exposed = slices.DeleteFunc(o.exposed, func(s string) bool { return s == slug })
	}
	var sessions []*session
	for _, s := range o.sessions {
		sessions = append(sessions, s)
	}
	o.mu.Unlock()
	if on == was {
		return
	}
	for _, s := range sessions {
		s.notify(listChanged)
	}
}
