package jsonrpc_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
)

// edit makes every tool a destructive one called T.
func edit(t *testing.T, answer string, private, complete bool) string {
	t.Helper()
	lists, err := jsonrpc.ReadToolLists([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	for i := range lists.Lists {
		list := &lists.Lists[i]
		list.Private, list.Complete = private, complete
		for j := range list.Tools {
			list.Tools[j].Set = jsonrpc.ToolEdit{Title: "T", Hints: &[4]bool{false, true, false, true}}
		}
	}
	got := string(lists.Append(nil))
	if !json.Valid([]byte(got)) {
		t.Fatalf("not JSON: %s", got)
	}
	return got
}

const allHints = `"readOnlyHint":false,"destructiveHint":true,"idempotentHint":false,"openWorldHint":true`

func TestToolLists_edit(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, tool, want string }{
		{
			"bare", `{"name":"a","inputSchema":{"type":"object"}}`,
			`{"name":"a","inputSchema":{"type":"object"},"title":"T","annotations":{"title":"T",` + allHints + `}}`,
		},
		{
			"blanks, odd numbers and escapes stay", "{ \"name\" : \"\\u0061\" ,\n\t\"x\":[1e2, 1.0 ,-0]\n}",
			"{ \"name\" : \"\\u0061\" ,\n\t\"x\":[1e2, 1.0 ,-0]\n" + `,"title":"T","annotations":{"title":"T",` + allHints + `}}`,
		},
		{
			"outputSchema, _meta, icons and execution stay",
			`{"_meta":{"title":"no","annotations":{}},"name":"a","outputSchema":{"name":"b"},"icons":[{"src":"x"}],"execution":{"taskSupport":"optional"}}`,
			`{"_meta":{"title":"no","annotations":{}},"name":"a","outputSchema":{"name":"b"},"icons":[{"src":"x"}],"execution":{"taskSupport":"optional"},"title":"T","annotations":{"title":"T",` + allHints + `}}`,
		},
		{"a title", `{"title":"Old","name":"a"}`, `{"title":"T","name":"a","annotations":{"title":"T",` + allHints + `}}`},
		{"the same title, written otherwise", `{"title":"\u0054","name":"a"}`, `{"title":"\u0054","name":"a","annotations":{"title":"T",` + allHints + `}}`},
		{"a title that is none", `{"title":7,"name":"a"}`, `{"title":"T","name":"a","annotations":{"title":"T",` + allHints + `}}`},
		{"no annotations yet", `{"annotations":{},"name":"a"}`, `{"annotations":{"title":"T",` + allHints + `},"name":"a","title":"T"}`},
		{"null", `{"annotations":null,"name":"a"}`, `{"annotations":{"title":"T",` + allHints + `},"name":"a","title":"T"}`},
		{
			"other annotations stay", `{"annotations":{ "x" : 1 },"name":"a"}`,
			`{"annotations":{ "x" : 1 ,"title":"T",` + allHints + `},"name":"a","title":"T"}`,
		},
		{
			"some hints, one of them wrong, one no boolean", `{"annotations":{"readOnlyHint":true,"x":{"destructiveHint":false},"destructiveHint":"no"},"name":"a"}`,
			`{"annotations":{"readOnlyHint":false,"x":{"destructiveHint":false},"destructiveHint":true,"title":"T","idempotentHint":false,"openWorldHint":true},"name":"a","title":"T"}`,
		},
		{"all there", `{"annotations":{"title":"T",` + allHints + `},"name":"a","title":"T"}`, `{"annotations":{"title":"T",` + allHints + `},"name":"a","title":"T"}`},
		{
			"members named by escapes", `{"n\u0061me":"a","\u0074itle":"Old","annot\u0061tions":{"readOnl\u0079Hint":true}}`,
			`{"n\u0061me":"a","\u0074itle":"T","annot\u0061tions":{"readOnl\u0079Hint":false,"title":"T","destructiveHint":true,"idempotentHint":false,"openWorldHint":true}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			const before, after = `{"result": {"nextCursor":"n" , "tools":[`, `], "_meta":{"tools":[{"name":"x"}]}},"jsonrpc":"2.0","id":1}`
			if diff := cmp.Diff(before+tt.want+after, edit(t, before+tt.tool+after, true, false)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestToolLists_GW27_scope(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, result      string
		private, complete bool
		want              string
	}{
		{"older revision", `{"tools":[]}`, true, false, `{"tools":[]}`},
		{"older revision that says public", `{"cacheScope":"public","tools":[]}`, true, false, `{"cacheScope":"private","tools":[]}`},
		{"nothing said", `{"tools":[]}`, true, true, `{"tools":[],"cacheScope":"private","ttlMs":0}`},
		{"public", `{"ttlMs":60000,"cacheScope":"public","tools":[],"resultType":"complete"}`, true, true, `{"ttlMs":60000,"cacheScope":"private","tools":[],"resultType":"complete"}`},
		{"public behind the tools", `{"tools":[] ,"cacheScope" : "public","ttlMs":5}`, true, true, `{"tools":[] ,"cacheScope" : "private","ttlMs":5}`},
		{"null", `{"tools":[],"cacheScope":null}`, true, true, `{"tools":[],"cacheScope":"private","ttlMs":0}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wrap := func(result string) string { return `{"jsonrpc":"2.0","id":1,"result":` + result + `}` }
			if got := edit(t, wrap(tt.result), tt.private, tt.complete); got != wrap(tt.want) {
				t.Errorf("got %s, want %s", got, wrap(tt.want))
			}
		})
	}
}

// TestToolLists_others: what holds no list of tools is no list, and stays.
func TestToolLists_others(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m","data":{"tools":[{"name":"a"}]}}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"content":[{"tools":[{"name":"a"}]}]}}`,
		`{"jsonrpc":"2.0","id":1,"result":{"tools":{"name":"a"}}}`,
		`{"jsonrpc":"2.0","id":1,"result":[]}`,
		`[{"jsonrpc":"2.0","method":"notifications/x"},null,7]`,
		`"text"`,
	} {
		lists, err := jsonrpc.ReadToolLists([]byte(answer))
		if err != nil || len(lists.Lists) != 0 || string(lists.Append(nil)) != answer {
			t.Errorf("%s: %+v, %v", answer, lists, err)
		}
	}
}

func TestToolLists_batch(t *testing.T) {
	t.Parallel()
	got := edit(t, `[{"id":1,"result":{"tools":[{"name":"a"}]}} , {"id":2,"result":{"tools":[]}}]`, true, false)
	if want := `[{"id":1,"result":{"tools":[{"name":"a","title":"T","annotations":{"title":"T",` + allHints + `}}]}} , {"id":2,"result":{"tools":[]}}]`; got != want {
		t.Errorf("got %s", got)
	}
}

// TestToolLists_GW18_refusals: what two parsers could read differently is no list to pass on.
func TestToolLists_GW18_refusals(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"a member twice":         `{"result":{"tools":[],"tools":[{"name":"a"}]}}`,
		"a result twice":         `{"result":{},"result":{"tools":[]}}`,
		"a name twice":           `{"result":{"tools":[{"name":"a","name":"b"}]}}`,
		"a name by escape twice": `{"result":{"tools":[{"name":"a","n\u0061me":"b"}]}}`,
		"no JSON":                `{"result":{"tools":[}`,
		"cut off":                `{"result":{"tools":[{"name":"a"}`,
		"something behind it":    `{"result":{"tools":[]}}{}`,
		"invalid UTF-8":          "{\"result\":{\"tools\":[{\"name\":\"\xff\"}]}}",
		"a tool without name":    `{"result":{"tools":[{}]}}`,
		"an empty name":          `{"result":{"tools":[{"name":""}]}}`,
		"a name that is none":    `{"result":{"tools":[{"name":7}]}}`,
		"a tool that is none":    `{"result":{"tools":["a"]}}`,
		"nested without end":     strings.Repeat("[", 200),
	} {
		if lists, err := jsonrpc.ReadToolLists([]byte(answer)); err == nil {
			t.Errorf("%s: taken as %+v", name, lists)
		}
	}
}

func TestToolLists_reads(t *testing.T) {
	t.Parallel()
	lists, err := jsonrpc.ReadToolLists([]byte(`{"result":{"tools":[
		{"name":"a","description":"d\n","annotations":{"title":"A","readOnlyHint":true,"openWorldHint":false}},
		{"name":"b","title":"B","annotations":{"title":"not this"},"description":7}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	a, b := lists.Lists[0].Tools[0], lists.Lists[0].Tools[1]
	if a.Name != "a" || a.Title != "A" || a.Description != "d\n" || a.Hints != (jsonrpc.ClaimedHints{ReadOnly: jsonrpc.Yes, OpenWorld: jsonrpc.No}) {
		t.Errorf("a is %+v", a)
	}
	if b.Name != "b" || b.Title != "B" || b.Description != "" || b.Hints != (jsonrpc.ClaimedHints{}) {
		t.Errorf("b is %+v", b)
	}
}

// FuzzToolLists: whatever is a list stays JSON, keeps what it does not change and comes out the same
// when it is read again.
func FuzzToolLists(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a","title":"x","annotations":{"readOnlyHint":true}}],"nextCursor":"n"}}`,
		`[{"result":{"tools":[{"name":"a"},{"annotations":null,"name":"b","description":"d"}],"cacheScope":"public"}}]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		lists, err := jsonrpc.ReadToolLists([]byte(answer))
		if err != nil {
			return
		}
		if got := untouched(lists); len(got) != len(answer) && len(lists.Lists) == 0 {
			t.Fatalf("%q became %q", answer, got)
		}
		once := edit(t, answer, true, true)
		if twice := edit(t, once, true, true); twice != once {
			t.Fatalf("%q, then %q", once, twice)
		}
	})
}

func untouched(lists *jsonrpc.ToolLists) string { return string(lists.Append(nil)) }

func ExampleReadToolLists() {
	lists, err := jsonrpc.ReadToolLists([]byte(`{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"b"},{"name":"a"}]}}`))
	if err != nil {
		return
	}
	lists.Lists[0].Tools = lists.Lists[0].Tools[1:]
	fmt.Println(string(lists.Append(nil)))
	// Output: {"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}
}
