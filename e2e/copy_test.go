//go:build e2e

package e2e

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
	"github.com/abilityai/trinity-bridge/e2e/postgrestest"
	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestStoreCopy moves a deployment from its data folder to PostgreSQL and back into another folder, as an operator
// does. Who is connected goes on with the tokens they have, and who was disconnected on the way stays out.
func TestStoreCopy(t *testing.T) {
	if bridgetest.Replicas() > 0 {
		t.Skip("with replicas there is no data folder to move from")
	}
	server := postgrestest.Own(t)
	database := "TRINITY_BRIDGE_STORE=" + server.Database(t)
	secret := "TRINITY_BRIDGE_SECRET=a secret of a test that is long enough 0123456789"

	simulated := programtest.StartTrinity(t)
	b := machine.StartServe(t, "http", simulated, simulated.MCPURL(), secret)
	web := &bridgetest.Bridge{URL: b.Origin, MCP: b.Connector, Trinity: simulated.Server}
	client := web.Register(t)
	stays, leaves := web.Connect(t, client, programtest.Alice), web.Connect(t, client, "bob@example.com")
	session := web.Session(t, stays.Access)
	refresh := func(tokens *bridgetest.Tokens) {
		t.Helper()
		*tokens = web.Token(t, web.RefreshForm(client, tokens.Refresh))
		if answer := web.Tool(t, stays.Access, session, "list_agents"); answer.Status != http.StatusOK {
			t.Errorf("the session that was open answers %d %s", answer.Status, answer.Body)
		}
	}

	t.Log(b.Maintain(t, []string{database}, "store", "copy"))
	b.Restart(t, database)
	refresh(&stays)
	refresh(&leaves)
	for _, grant := range b.Grants(t) {
		if grant.Account == "bob@example.com" {
			b.Revoke(t, grant)
		}
	}

	folder := filepath.Join(t.TempDir(), "folder")
	b.Data = folder
	t.Log(b.Maintain(t, nil, "store", "copy", "--back"))
	b.Restart(t, "TRINITY_BRIDGE_STORE=")
	refresh(&stays)
	if answer := web.PostForm(t, "/oauth/token", web.RefreshForm(client, leaves.Refresh)); answer.Status != http.StatusBadRequest {
		t.Errorf("who was disconnected refreshes: %d %s", answer.Status, answer.Body)
	}
	if status := web.Works(t, leaves.Access); status != http.StatusUnauthorized {
		t.Errorf("who was disconnected calls: %d", status)
	}
}
