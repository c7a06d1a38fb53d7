package templates

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/template/parse"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
)

// families are the keys that other packages choose from, by the prefix templates put before them
// and the suffixes they put after.
var families = map[string]struct{ keys, suffixes []string }{
	"notice.": {suffixes: []string{""}, keys: []string{
		"email.invalid", "email.trinity_down",
		"code.malformed", "code.wrong", "code.spent", "code.send_failed", "code.locked", "code.too_many", "code.trinity_down",
		"factor.wrong", "enrol.wrong", "factor.spent", "factor.trinity_down",
		"link.key_bad", "link.key_kind", "link.trinity_down", "link.too_many",
		"consent.no_scope", "consent.no_acting", "consent.acting_wrong", "consent.trinity_down", "consent.session_over", "consent.link_over",
	}},
	"problem.": {suffixes: []string{".title", ".text"}, keys: []string{
		"flow-gone", "other-browser", "forged", "not-a-form", "already-used", "trinity-down", "trinity-setup", "email-off", "email-disabled",
		"second-factor-missing", "account-mismatch", "unknown-client", "client-blocked", "client-ask", "client-document", "bad-redirect",
		"bad-request", "profile-closed", "visit-over", "visit-failed", "no-connection", "not-found", "method", "too-large", "store-down", "internal", "too-many",
	}},
	"source.": {suffixes: []string{".title", ".text"}, keys: []string{
		"source-down", "source-denied", "source-refused", "source-weak", "source-again", "not-admitted", "account-refused", "not-linked",
	}},
	// RFC 6749 §4.1.2.1, RFC 8707 §2, OpenID Connect Core §3.1.2.6.
	"error.": {suffixes: []string{""}, keys: []string{
		"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope", "server_error",
		"temporarily_unavailable", "invalid_target", "request_not_supported", "request_uri_not_supported", "login_required",
		"consent_required", "interaction_required",
	}},
	"connections.done.": {suffixes: []string{""}, keys: []string{"ended", "all", "unlinked"}},
	"acting.":           {suffixes: []string{".title", ".text"}, keys: []string{"user", "agent", "system"}},
	"scope.":            {suffixes: []string{".title", ".text"}, keys: strings.Fields(bridge.AllScopes().String())},
}

// fromGo are the keys asked for by Go and not by a template.
var fromGo = []string{"client.local", "client.unknown", "days.one", "days.many"}

func familyKeys() []string {
	var keys []string
	for prefix, family := range families {
		for _, key := range family.keys {
			for _, suffix := range family.suffixes {
				keys = append(keys, prefix+key+suffix)
			}
		}
	}
	return keys
}

// Every sentence asked for is there with the placeholders it is asked with, and none is left over.
func TestMessages_complete(t *testing.T) {
	t.Parallel()
	all, err := loadMessages(messageFile)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, key := range slices.Concat(familyKeys(), fromGo) {
		asked[key] = true
	}
	for _, call := range messageCalls(t) {
		if call.prefix != "" {
			if !slices.Contains(families[call.prefix].suffixes, call.key) {
				t.Errorf("a template asks for %s…%s, which no family has", call.prefix, call.key)
			}
			continue
		}
		asked[call.key] = true
		var places []string
		for _, place := range placeholder.FindAllString(all[call.key], -1) {
			places = append(places, strings.Trim(place, "{}"))
		}
		slices.Sort(call.names)
		slices.Sort(places)
		if diff := cmp.Diff(slices.Compact(places), call.names); diff != "" {
			t.Errorf("%s: placeholders (-message +template):\n%s", call.key, diff)
		}
	}
	var got []string
	for key := range all {
		got = append(got, key)
	}
	slices.Sort(got)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(asked)), got); diff != "" {
		t.Errorf("keys (-asked for +in the file):\n%s", diff)
	}
}

// Every sentence another package can choose renders.
func TestMessages_families(t *testing.T) {
	t.Parallel()
	for _, key := range families["notice."].keys {
		write(t, CodePage{Client: webClient, Notice: key})
	}
	for _, key := range families["problem."].keys {
		write(t, ProblemPage{Key: key})
	}
	for _, key := range families["source."].keys {
		write(t, SourceProblemPage{Key: key, Source: "Example", RetryURL: "/signin/choose", ReturnURL: "https://claude.ai/cb?error=access_denied"})
	}
	for _, key := range families["error."].keys {
		write(t, ReturnPage{URL: "https://claude.ai/cb", Client: webClient, Reason: key})
	}
	for _, scope := range bridge.AllScopes() {
		write(t, ConsentPage{Client: webClient, Scopes: []ScopeChoice{{Scope: string(scope)}}})
	}
}

// call is one sentence a template asks for: a key and the names of its values, or a prefix and a
// suffix around a key that comes with the page.
type call struct {
	prefix, key string
	names       []string
}

func messageCalls(t *testing.T) []call {
	t.Helper()
	var calls []call
	for _, page := range newSet(t, site()).pages {
		for _, tmpl := range page.Templates() {
			if tmpl.Tree == nil {
				continue
			}
			visit(tmpl.Tree.Root, func(command *parse.CommandNode) {
				if c, ok := messageCall(t, command); ok {
					calls = append(calls, c)
				}
			})
		}
	}
	if len(calls) < 100 {
		t.Fatalf("only %d sentences found in the templates", len(calls))
	}
	return calls
}

func messageCall(t *testing.T, command *parse.CommandNode) (call, bool) {
	t.Helper()
	function, ok := command.Args[0].(*parse.IdentifierNode)
	if !ok || function.Ident != "text" && function.Ident != "parts" {
		return call{}, false
	}
	switch key := command.Args[1].(type) {
	case *parse.StringNode:
		c := call{key: key.Text}
		for i := 2; i < len(command.Args); i += 2 {
			c.names = append(c.names, command.Args[i].(*parse.StringNode).Text)
		}
		return c, true
	case *parse.PipeNode: // print "prefix." .Key ".suffix"
		var texts []string
		for _, arg := range key.Cmds[0].Args {
			if text, ok := arg.(*parse.StringNode); ok {
				texts = append(texts, text.Text)
			}
		}
		return call{prefix: texts[0], key: strings.Join(texts[1:], "")}, true
	}
	t.Fatalf("a sentence is asked for in a way this test cannot read: %s", command)
	return call{}, false
}

// visit calls f with every command below node.
func visit(node parse.Node, f func(*parse.CommandNode)) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, child := range n.Nodes {
				visit(child, f)
			}
		}
	case *parse.ActionNode:
		visit(n.Pipe, f)
	case *parse.TemplateNode:
		visit(n.Pipe, f)
	case *parse.IfNode:
		visitBranch(&n.BranchNode, f)
	case *parse.WithNode:
		visitBranch(&n.BranchNode, f)
	case *parse.RangeNode:
		visitBranch(&n.BranchNode, f)
	case *parse.PipeNode:
		if n != nil {
			for _, command := range n.Cmds {
				visit(command, f)
			}
		}
	case *parse.CommandNode:
		f(n)
		for _, arg := range n.Args {
			visit(arg, f)
		}
	}
}

func visitBranch(n *parse.BranchNode, f func(*parse.CommandNode)) {
	visit(n.Pipe, f)
	visit(n.List, f)
	visit(n.ElseList, f)
}

func TestMessages_load(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file string }{
		{"a key twice", "a: x\na: y"},
		{"nested", "a:\n  b: x"},
		{"list", "a: [x]"},
		{"no map", "- a"},
		{"empty sentence", "a: ''"},
		{"blank sentence", "a: ' '"},
		{"two documents", "a: x\n---\nb: y"},
		{"open brace", "a: 'x {b'"},
		{"odd name", "a: 'x {B-1}'"},
		{"nothing", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if m, err := loadMessages([]byte(tt.file)); err == nil {
				t.Errorf("read as %v", m)
			}
		})
	}
}

func TestMessages_parts(t *testing.T) {
	t.Parallel()
	m := messages{"plain": "Hello.", "two": "{a} and {b}, {a}!"}
	got, err := m.parts("two", "a", "x\u202ey", "b", "{a}")
	if err != nil {
		t.Fatal(err)
	}
	want := []part{{"", false}, {"xy", true}, {" and ", false}, {"{a}", true}, {", ", false}, {"xy", true}, {"!", false}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	for _, bad := range [][]string{
		{"none"},
		{"two"},
		{"two", "a", "x"},
		{"two", "a", "x", "b"},
		{"two", "a", "x", "b", "y", "c", "z"},
		{"two", "a", "x", "a", "y", "b", "z"},
		{"plain", "a", "x"},
	} {
		if text, err := m.text(bad[0], bad[1:]...); !errors.Is(err, errMessage) {
			t.Errorf("text%q = %q, %v", bad, text, err)
		}
	}
}

func ExampleCleanName() {
	fmt.Println(CleanName("Claude\u202e by\n us"))
	// Output: Claude by us
}
