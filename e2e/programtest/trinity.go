package programtest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// A Trinity is a simulated one in this process.
type Trinity struct {
	*trinitytest.Server
	codes chan string // what it sends to Alice
}

// StartTrinity starts one that ends with the test.
func StartTrinity(t *testing.T) Trinity {
	t.Helper()
	codes := make(chan string, 16)
	server, err := trinitytest.Start(trinitytest.Options{Codes: func(email, code string) {
		if email == Alice {
			codes <- code
		}
	}})
	if err != nil {
		t.Fatalf("simulated Trinity: %v", err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return Trinity{server, codes}
}

// NextCode is the code in the next e-mail to Alice.
func (s Trinity) NextCode(t *testing.T) string {
	t.Helper()
	select {
	case code := <-s.codes:
		return code
	case <-time.After(Patience):
		t.Fatalf("Trinity sent no code to %s within %v", Alice, Patience)
		return ""
	}
}

// A ToolList is the part of an answer to tools/list that matters here.
type ToolList struct {
	Tools []struct{ Name string }
}

// WantTrinitys checks that what is offered is Trinity's.
func (l ToolList) WantTrinitys(t *testing.T) {
	t.Helper()
	for _, name := range []string{"list_agents", "get_agent", "chat_with_agent"} {
		if !slices.ContainsFunc(l.Tools, func(tool struct{ Name string }) bool { return tool.Name == name }) {
			t.Errorf("the tool %s is not offered", name)
		}
	}
}

// Called is what a simulated tool answers: who it ran as.
type Called struct {
	Tool      string         `json:"tool"`
	Arguments map[string]any `json:"arguments"`
	Username  string         `json:"username"`
	KeyName   string         `json:"key_name"`
}

// WantRanAsAlice checks what a tool said about a call with CallArguments.
func WantRanAsAlice(t *testing.T, tool, text string) Called {
	t.Helper()
	var got Called
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("the tool answered %q: %v", text, err)
	}
	if got.KeyName == "" {
		t.Error("the call ran without a key of its own")
	}
	want := Called{Tool: tool, Arguments: CallArguments, Username: Alice, KeyName: got.KeyName}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the call (-want +got):\n%s", diff)
	}
	return got
}
