package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/clients"
)

func TestClients(t *testing.T) {
	t.Parallel()
	demo, _, data := startDemo(t)
	call := commands(t, "--data", data)
	if out := call(exitDone, "clients", "list"); !strings.HasPrefix(out, "CLIENT ") || strings.Count(out, "\n") != 1 {
		t.Errorf("clients at first:\n%s", out)
	}
	if out := call(exitDone, "clients", "allow", "app.example.com"); out != "app.example.com is let in\n" {
		t.Errorf("allow: %s", out)
	}
	if out := call(exitDone, "clients", "block", "*.bad.example.com", "--yes"); out != "*.bad.example.com is shut out\n" {
		t.Errorf("block: %s", out)
	}
	var listed []app.ListedClient
	if err := json.Unmarshal([]byte(call(exitDone, "clients", "list", "--json")), &listed); err != nil {
		t.Fatal(err)
	}
	if len(listed) != 2 || listed[0].ID != "*.bad.example.com" || listed[0].State != clients.StateBlocked ||
		listed[1].State != clients.StateIn || listed[1].DecidedAt == nil {
		t.Errorf("clients: %+v", listed)
	}
	if out := call(exitDone, "clients", "list"); !strings.Contains(out, "app.example.com") || !strings.Contains(out, "shut out") {
		t.Errorf("the table is\n%s", out)
	}
	if out := call(exitFailed, "clients", "allow", "http://app.example.com/x y"); !strings.Contains(out, "Name a host") {
		t.Errorf("what can be no client: %s", out)
	}

	// OP-28: nobody but the data folder's owner.
	for _, path := range []string{"/clients", "/clients/allow?entry=evil.example", "/clients/block?entry=app.example.com"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if code, _ := do(t, method, "http://"+operatorAddress(t, data)+path, ""); code != http.StatusUnauthorized && code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s without the operator's token: %d", method, path, code)
			}
		}
	}
	demo.end(t)
	for _, args := range [][]string{{"clients", "list"}, {"clients", "allow", "x.example.com"}, {"clients", "block", "x.example.com", "-y"}} {
		if out := call(exitFailed, args...); !strings.Contains(out, "no bridge is running") {
			t.Errorf("%v without a bridge: %s", args, out)
		}
	}
}

// As many clients as registered ones that each person has one of are all told, and that older connections are not counted.
func TestClients_many(t *testing.T) {
	t.Parallel()
	known := app.KnownClients{Looked: 10_000, Partly: true}
	for i := range 10_000 {
		known.Clients = append(known.Clients, app.ListedClient{ID: fmt.Sprintf("client-%026d", i), Name: "Claude", State: clients.StateIn, Connections: 1})
	}
	data := played(t, func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(known) })
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"clients", "list", "--data", data}, &out, &errOut); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errOut.String())
	}
	if lines := strings.Count(out.String(), "\n"); lines != 10_001 || errOut.String() != "connections are counted among the newest 10000 only\n" {
		t.Errorf("%d lines and %q", lines, errOut.String())
	}
}
