package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
	operator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") != "" {
			grants = nil
		}
		_ = json.NewEncoder(w).Encode(grants)
	}))
	t.Cleanup(operator.Close)
	data := t.TempDir()
	text, err := json.Marshal(app.Operator{Address: strings.TrimPrefix(operator.URL, "http://"), Token: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "operator.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
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
