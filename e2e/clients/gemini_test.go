//go:build clients

package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/e2e/programtest"
)

// TestGemini has Gemini CLI sign in when it first meets the server and call a tool, and call again from another process,
// with tokens so short-lived that it refreshes first.
func TestGemini(t *testing.T) {
	version := packageVersion(t, "@google/gemini-cli")
	t.Run(version+"/DCR", func(t *testing.T) {
		t.Parallel()
		b := startDemo(t, "--access-token-lifetime", "1m")
		g := newGemini(t, b)
		first := g.start(t)
		id := b.signIn(t, g.opened(t, first)).Get("client_id")
		wantCalls(t, 1, "get_agent", g.model.answered, func() *programtest.Program { return first })
		wantCalls(t, 1, "get_agent", g.model.answered, func() *programtest.Program { return g.start(t) })
		b.wantCameIn(t, id, cameIn{registered: 1, signedIn: 1, refreshed: 1})
	})
}

// A gemini is one person's Gemini CLI, whose model is a stub.
type gemini struct {
	programtest.Home
	model   *generate
	program string
}

func newGemini(t *testing.T, b *bridge) *gemini {
	t.Helper()
	g := &gemini{
		machine.NewHome(t), startGenerate(t, "mcp_trinity_get_agent", programtest.CallArguments),
		programtest.MustInstalled(t, "node/node_modules/@google/gemini-cli/bundle/gemini.js"),
	}
	settings, err := json.Marshal(map[string]any{
		"security":   map[string]any{"auth": map[string]any{"selectedType": "gemini-api-key"}, "folderTrust": map[string]any{"enabled": false}},
		"privacy":    map[string]any{"usageStatisticsEnabled": false},
		"general":    map[string]any{"disableAutoUpdate": true},
		"mcpServers": map[string]any{"trinity": map[string]any{"httpUrl": b.Connector, "oauth": map[string]any{"enabled": true}}},
	})
	if err == nil {
		err = os.Mkdir(filepath.Join(g.Dir, ".gemini"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(g.Dir, ".gemini/settings.json"), settings, 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(g.Dir, "xdg-open"), []byte("#!/bin/sh\necho \"$1\" >\"$HOME/opened\"\n"), 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// start has the model work in a process of its own. Where that asks whether it may open a browser, the answer is yes.
func (g *gemini) start(t *testing.T) *programtest.Program {
	t.Helper()
	p := g.Start(t, "gemini", []string{
		"PATH=" + g.Dir + ":" + filepath.Dir(machine.Node) + ":/usr/bin:/bin",
		"DISPLAY=:0", // or it opens no browser
		"GEMINI_API_KEY=of-no-account", "GOOGLE_GEMINI_BASE_URL=" + g.model.URL,
	}, machine.Node, g.program, "--approval-mode", "yolo", "--model", "gemini-2.5-pro", "-p", "Show the agent research.")
	p.WriteLine(t, "y")
	_ = p.Stdin.Close()
	return p
}

// opened is what a run opens in the person's browser. It prints that too, but not before it ends.
func (g *gemini) opened(t *testing.T, p *programtest.Program) string {
	t.Helper()
	for deadline := time.Now().Add(programtest.Patience); ; time.Sleep(20 * time.Millisecond) {
		if url, err := os.ReadFile(filepath.Join(g.Dir, "opened")); err == nil && strings.HasSuffix(string(url), "\n") {
			return strings.TrimSpace(string(url))
		}
		select {
		case <-p.Ended:
			t.Fatal("gemini ended before it opened a browser")
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("gemini opens no browser")
		}
	}
}
