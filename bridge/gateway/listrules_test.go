package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/gateway"
)

// TestList_ST08_static: at /mcp a static key sees the very bytes that Trinity shows it. At a narrower profile
// it sees what of them is in it, with titles and hints; scopes and acting-as are Trinity's to judge.
func TestList_ST08_static(t *testing.T) {
	t.Parallel()
	w := start(t)
	key := staticKey("agent")
	w.upstream.answer(asJSON(listOf(bare("report"), bare("delete_agent"), bare("brand_new"), bare("call_user"), bare("list_playbooks"))))
	odd := "{ \"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[],\"tools\":[" + bare("report") + "," + bare("delete_agent") + "," + bare("brand_new") + "," + bare("call_user") + "]}}"
	w.upstream.answer(asJSON(odd))
	if got := w.send("POST", "/mcp", listing, bearer(key)).want(t, http.StatusOK); got.body != odd {
		t.Errorf("/mcp: %s", got.body)
	}
	w.upstream.answer(asJSON(listOf(bare("report"), bare("delete_agent"), bare("brand_new"), bare("call_user"), bare("list_playbooks"))))
	got := readList(t, w.send("POST", "/mcp/listed", listing, bearer(key)).want(t, http.StatusOK).body)
	if diff := cmp.Diff([]string{"delete_agent"}, got.names()); diff != "" {
		t.Errorf("/mcp/listed (-want +got):\n%s", diff)
	}
	if tool := got.Result.Tools[0]; tool.Title == "" || tool.Annotations.DestructiveHint == nil {
		t.Errorf("%s is not annotated", tool.Name)
	}
	w.upstream.answer(mcpServer)
	before := len(w.upstream.requests())
	w.send("POST", "/mcp/listed", toolCall("call_user"), bearer(key)).rpcError(t)
	if len(w.upstream.requests()) != before {
		t.Error("a call went past the profile")
	}
	w.send("POST", "/mcp", toolCall("call_user"), bearer(key)).want(t, http.StatusOK)
	if len(w.upstream.requests()) != before+1 {
		t.Error("a call did not go through")
	}
}

// TestList_RS31_beyondScope: where the operator wants it, what could be had by asking is on the list.
func TestList_RS31_beyondScope(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *gateway.Options) {
		o.ListBeyondScope = true
		o.Obtainable = func(_ context.Context, g bridge.Grant) bridge.Scopes {
			if g.Account.Username == "alice" {
				return bridge.BaselineScopes()
			}
			return bridge.AllScopes()
		}
	})
	w.upstream.answer(asJSON(listOf(bare("list_agents"), bare("create_agent"), bare("delete_agent"), bare("report"))))
	for person, want := range map[string]string{"alice": "list_agents create_agent", "bob": "list_agents create_agent delete_agent"} {
		c := w.connect(person, readOnly)
		if got := readList(t, w.call(c, listing).want(t, http.StatusOK).body).names(); strings.Join(got, " ") != want {
			t.Errorf("%s sees %v, want %s", person, got, want)
		}
	}
	r := w.connectAt("carol", "/mcp/read", readOnly)
	if got := readList(t, w.send("POST", "/mcp/read", listing, bearer(r.token)).body).names(); strings.Join(got, " ") != "list_agents" {
		t.Errorf("the reading profile shows %v", got)
	}
}

// overlaid lays an operator's file over the catalogue.
func overlaid(t testing.TB, text string) func(*gateway.Options) {
	t.Helper()
	return func(o *gateway.Options) {
		over, err := o.Tools.Overlay([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		o.Tools = over
	}
}

// TestList_drift: an unknown tool is told once, whoever sees it.
func TestList_drift(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect("alice", readOnly)
	w.upstream.answer(asJSON(listOf(bare("brand_new"), bare("list_agents"), bare("odd\\nname"))))
	for range 3 {
		w.call(c, listing).want(t, http.StatusOK)
	}
	if n := w.gateway.UnknownTools(); n != 2 {
		t.Errorf("%d unknown tools, want 2", n)
	}
	if n := strings.Count(w.logs.String(), "nobody has judged"); n != 2 || !strings.Contains(w.logs.String(), "tool=brand_new") {
		t.Errorf("told %d times:\n%s", n, w.logs.String())
	}
}
