package jsonrpc_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// GW-53: extensions are added beside the server's own, and nothing else changes.
func TestWithExtensions_GW53(t *testing.T) {
	t.Parallel()
	const added = `"a/one":{},"a/two":{}`
	tests := []struct{ name, from, to string }{
		{"none yet", `{"result":{"capabilities":{"tools":{ }}}}`, `{"result":{"capabilities":{"extensions":{` + added + `},"tools":{ }}}}`},
		{"no capability", `{"result":{"capabilities":{}}}`, `{"result":{"capabilities":{"extensions":{` + added + `}}}}`},
		{"its own", `{"result":{"capabilities":{"extensions":{"x/y":{"z":1}}}}}`, `{"result":{"capabilities":{"extensions":{` + added + `,"x/y":{"z":1}}}}}`},
		{"empty", `{"result":{"capabilities":{"extensions":{}}}}`, `{"result":{"capabilities":{"extensions":{` + added + `}}}}`},
		{"one of them", `{"result":{"capabilities":{"extensions":{"a/one":{"v":2}}}}}`, `{"result":{"capabilities":{"extensions":{"a/two":{},"a/one":{"v":2}}}}}`},
		{"all of them", `{"result":{"capabilities":{"extensions":{` + added + `}}}}`, ``},
		{"extensions of no object", `{"result":{"capabilities":{"extensions":[]}}}`, ``},
		{"extensions null", `{"result":{"capabilities":{"extensions":null}}}`, ``},
		{"no capabilities", `{"result":{"tools":[]}}`, ``},
		{"capabilities of no object", `{"result":{"capabilities":[]}}`, ``},
		{"capabilities elsewhere", `{"capabilities":{},"result":{"x":{"capabilities":{}}}}`, ``},
		{"an error", `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m","data":{"capabilities":{}}}}`, ``},
		{"a list", `[{"result":{"capabilities":{}}}]`, ``},
	}
	for _, tt := range tests {
		if tt.to == "" {
			tt.to = tt.from
		}
		got, err := jsonrpc.WithExtensions([]byte(tt.from), []string{"a/one", "a/two"})
		if err != nil || string(got) != tt.to || !json.Valid(got) {
			t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.to)
		}
	}
	for name, from := range map[string]string{
		"cut off": `{"result":{`, "twice": `{"result":{},"result":{}}`, "two texts": `{} {}`, "too deep": strings.Repeat(`{"result":`, 2000) + "1" + strings.Repeat("}", 2000), "nothing": ``,
	} {
		if got, err := jsonrpc.WithExtensions([]byte(from), []string{"a/one"}); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}
