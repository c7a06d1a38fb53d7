package trinitytest

import (
	"context"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// call is one JSON-RPC request in its session.
type call struct {
	exchange
	message
	progress func(notification []byte) // sends on the stream of this request
}

// answer is the whole JSON-RPC response to one request.
func (o *orchestrator) answer(ctx context.Context, c call) []byte {
	result, failure := o.dispatch(ctx, c)
	if failure != nil {
		return mustMarshal(struct {
			JSONRPC string         `json:"jsonrpc"`
			ID      jsontext.Value `json:"id"`
			Error   *rpcError      `json:"error"`
		}{"2.0", c.id, failure})
	}
	return mustMarshal(struct {
		Result  any            `json:"result"`
		JSONRPC string         `json:"jsonrpc"`
		ID      jsontext.Value `json:"id"`
	}{result, "2.0", c.id})
}

func (o *orchestrator) dispatch(ctx context.Context, c call) (any, *rpcError) {
	switch c.method {
	case "initialize":
		return o.initialize(c), nil
	case "ping":
		return struct{}{}, nil
	case "logging/setLevel":
		return setLevel(c)
	case "completion/complete":
		return complete(c)
	case "tools/list":
		return struct {
			Tools []listedTool `json:"tools"`
		}{o.listTools(c.session.opener)}, nil
	case "tools/call":
		return o.callTool(ctx, c)
	default:
		return nil, &rpcError{codeMethodNotFound, "Method not found"}
	}
}

// initialize answers the asked version if it is known and the newest otherwise (contract §4.1).
func (o *orchestrator) initialize(c call) any {
	version := newestProtocol
	if slices.Contains(protocolVersions, c.init.ProtocolVersion) {
		version = c.init.ProtocolVersion
	}
	type toolCapability struct {
		ListChanged bool `json:"listChanged,omitzero"`
	}
	type capabilities struct {
		Tools       toolCapability `json:"tools"`
		Logging     struct{}       `json:"logging"`
		Completions struct{}       `json:"completions"`
	}
	type serverInfo struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	return struct {
		ProtocolVersion string       `json:"protocolVersion"`
		Capabilities    capabilities `json:"capabilities"`
		ServerInfo      serverInfo   `json:"serverInfo"`
	}{
		ProtocolVersion: version,
		Capabilities:    capabilities{Tools: toolCapability{o.switches.read().AdvertiseListChanged}},
		ServerInfo:      serverInfo{Name: "trinity-orchestrator", Version: "1.0.0"},
	}
}

var logLevels = []string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

func setLevel(c call) (any, *rpcError) {
	var p struct {
		Level string `json:"level"`
	}
	if unmarshal(c.params, &p) != nil || !slices.Contains(logLevels, p.Level) {
		return nil, &rpcError{codeInternalError, "Invalid option: expected a log level at params.level"}
	}
	return struct{}{}, nil
}

// complete has nothing to complete: there are no prompts and no resources.
func complete(c call) (any, *rpcError) {
	var p struct {
		Ref struct {
			Type string `json:"type"`
		} `json:"ref"`
	}
	if unmarshal(c.params, &p) != nil {
		return nil, &rpcError{codeInternalError, "Invalid input: expected object at params"}
	}
	if p.Ref.Type == "ref/resource" {
		return nil, &rpcError{codeInternalError, "Unknown resource"}
	}
	return nil, &rpcError{codeInternalError, "Unknown prompt"}
}
