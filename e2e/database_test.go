//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestStoreDatabase_OP14_OP18 puts a database back, once by PostgreSQL's own means and once from a backup, as an operator
// does. Nobody who was disconnected in the meantime is back, and people connect anew.
func TestStoreDatabase_OP14_OP18(t *testing.T) {
	if bridgetest.Replicas() > 0 {
		t.Skip("the program is pointed at other databases here, and has one replica")
	}
	server := postgrestest.Own(t)
	now := server.Database(t)
	older := server.URL("older")
	at := func(database string) string { return "TRINITY_BRIDGE_STORE=" + database }
	simulated := programtest.StartTrinity(t)
	b := machine.StartServe(t, "http", simulated, simulated.MCPURL(), at(now), "TRINITY_BRIDGE_SECRET=a secret of a test that is long enough 0123456789")
	web := &bridgetest.Bridge{URL: b.Origin, MCP: b.Connector, Trinity: simulated.Server}
	client := web.Register(t)
	stays, leaves := web.Connect(t, client, programtest.Alice), web.Connect(t, client, "bob@example.com")

	b.Stop()
	keepAs(t, server, now, "older")
	b.Restart(t)
	for _, grant := range b.Grants(t) {
		if grant.Account == "bob@example.com" {
			b.Revoke(t, grant)
		}
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if status := web.Works(t, stays.Access); status != http.StatusOK {
		t.Fatalf("who is connected calls: %d", status)
	}
	b.Maintain(t, nil, "store", "backup", backup)
	wantOver := func(what string) {
		t.Helper()
		for _, tokens := range []bridgetest.Tokens{stays, leaves} {
			if status := web.Works(t, tokens.Access); status != http.StatusUnauthorized {
				t.Errorf("%s: an old token is answered %d", what, status)
			}
			if answer := web.PostForm(t, "/oauth/token", web.RefreshForm(client, tokens.Refresh)); answer.Status != http.StatusBadRequest {
				t.Errorf("%s: an old refresh token is answered %d %s", what, answer.Status, answer.Body)
			}
		}
		again := web.Connect(t, client, "admin@example.com")
		if status := web.Works(t, again.Access); status != http.StatusOK {
			t.Errorf("%s: who connects anew calls: %d", what, status)
		}
	}

	if said := b.Maintain(t, []string{at(older)}, "store", "accept-loss", "--yes"); !strings.Contains(said, "2 connections are ended") {
		t.Errorf("accepting the loss says %q", said)
	}
	b.Restart(t, at(older))
	wantOver("put back by PostgreSQL")

	fresh := server.Database(t)
	if said := b.Maintain(t, []string{at(fresh)}, "store", "restore", "--yes", backup); !strings.Contains(said, "1 connections are ended") {
		t.Errorf("restoring says %q", said)
	}
	b.Restart(t, at(fresh))
	wantOver("restored from a backup")
	b.Maintain(t, []string{at(fresh)}, "store", "verify") // fails when anything is wrong
}

// keepAs copies a database that nobody uses.
func keepAs(t *testing.T, server *postgrestest.Server, database, name string) {
	t.Helper()
	from, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "create database "+name+" template "+strings.TrimPrefix(from.Path, "/")); err != nil {
		t.Fatal(err)
	}
}
