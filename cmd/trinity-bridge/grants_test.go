package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
)

// The table tells connections of one client to two tool sets apart.
func TestGrants_table(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 11, 26, 9, 5, 0, 0, time.UTC)
	grants := []app.ListedGrant{
		{
			ID: "grant-2", Status: bridge.GrantEnded, Account: "alice", Client: "Claude", Resource: "https://connect.example.com/mcp/read",
			Scope: "trinity:read", ActingAs: bridge.ActAsUser, CreatedAt: created, EndReason: bridge.EndRevokedByPerson,
		},
		{
			ID: "grant-1", Status: bridge.GrantLive, Account: "alice", Client: "Claude", Resource: "https://connect.example.com/mcp",
			Scope: "trinity:read trinity:write", ActingAs: bridge.ActAsAgent, Agent: "researcher", CreatedAt: created,
		},
	}
	data := played(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") != "" {
			grants = nil
		}
		_ = json.NewEncoder(w).Encode(grants)
	})
	var rows [][]string
	for line := range strings.Lines(commands(t, "--data", data)(exitDone, "grants", "list")) {
		rows = append(rows, strings.FieldsFunc(strings.TrimSpace(strings.ReplaceAll(line, "  ", "\t")), func(r rune) bool { return r == '\t' }))
	}
	want := []string{
		"ID|STATUS|ACCOUNT|ACTS AS|CLIENT|RESOURCE|SCOPE|CREATED|ENDED BECAUSE",
		"grant-2|ended|alice|user|Claude|https://connect.example.com/mcp/read|trinity:read|2026-11-26 09:05:00|revoked_by_person",
		"grant-1|live|alice|agent:researcher|Claude|https://connect.example.com/mcp|trinity:read trinity:write|2026-11-26 09:05:00",
	}
	for i, row := range rows {
		for j := range row {
			row[j] = strings.TrimSpace(row[j])
		}
		if i >= len(want) || strings.Join(row, "|") != want[i] {
			t.Errorf("row %d: %q", i, row)
		}
	}
	if len(rows) != len(want) {
		t.Errorf("%d rows", len(rows))
	}
}

// played is the data folder of a bridge that is played by a handler.
func played(t *testing.T, bridge http.HandlerFunc) string {
	t.Helper()
	const token = "token"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/proof" {
			bridge(w, r)
			return
		}
		mac := hmac.New(sha256.New, []byte(token))
		mac.Write([]byte("this bridge\x00" + r.URL.Query().Get("nonce")))
		_, _ = w.Write([]byte(hex.EncodeToString(mac.Sum(nil))))
	}))
	t.Cleanup(server.Close)
	data := t.TempDir()
	text, err := json.Marshal(app.Operator{Address: strings.TrimPrefix(server.URL, "http://"), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "operator.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return data
}

// All of a client's or a person's grants end with one command, which sends them a hundred at a time over one connection.
func TestGrants_revokeMany(t *testing.T) {
	t.Parallel()
	var grants []app.ListedGrant
	for i := range 250 {
		grants = append(grants, app.ListedGrant{ID: fmt.Sprintf("grant-%d", i), Status: bridge.GrantLive, Account: "alice", ClientID: "client-1"})
	}
	grants[7].Status = bridge.GrantEnded
	var calls []int
	addresses := map[string]bool{}
	data := played(t, func(w http.ResponseWriter, r *http.Request) {
		addresses[r.RemoteAddr] = true
		query := r.URL.Query()
		if r.URL.Path == "/grants/revoke" {
			calls = append(calls, len(query["id"]))
			var ended []app.ListedGrant
			for _, id := range query["id"] {
				ended = append(ended, app.ListedGrant{ID: id, Status: bridge.GrantEnded, Account: "alice", EndReason: bridge.EndRevokedByOperator})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"ended": ended})
			return
		}
		if query.Get("client") != "client-1" || query.Get("person") != "" {
			t.Errorf("asked for %v", query)
		}
		from := slices.IndexFunc(grants, func(g app.ListedGrant) bool { return g.ID == query.Get("after") }) + 1
		_ = json.NewEncoder(w).Encode(grants[from:min(from+100, len(grants))])
	})
	call := commands(t, "--data", data)
	said := call(exitDone, "grants", "revoke", "--client", "client-1", "--yes")
	if strings.Count(said, "is ended (revoked_by_operator)") != 249 || strings.Contains(said, "grant-7 ") {
		t.Errorf("it says %q", said)
	}
	if !slices.Equal(calls, []int{100, 100, 49}) || len(addresses) != 2 {
		t.Errorf("calls of %v grants, over %d connections, one to list and one to end", calls, len(addresses))
	}
	for _, args := range [][]string{{}, {"grant-1", "--all"}, {"grant-1", "--person", "alice"}, {"--all", "--client", "client-1"}} {
		call(exitUsage, append([]string{"grants", "revoke", "--yes"}, args...)...)
	}
	if len(calls) != 3 {
		t.Error("a command that does not say what it means ended something")
	}
}
