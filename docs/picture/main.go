package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// imagePath is where the image lies, seen from the root of the repository.
const imagePath = "docs/images/tools-audit.svg"

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// run writes the image of the repository at root.
func run(root string) error {
	image, err := auditImage(root)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, imagePath), image, 0o644) //nolint:gosec // everybody may read it
}

// auditImage audits Trinity's names as a server without annotations lists them, straight and as
// /mcp/listed has them.
func auditImage(root string) ([]byte, error) {
	names, err := os.ReadFile(filepath.Join(root, "bridge/tools/testdata/names.txt")) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	listed := []string{}
	for _, name := range strings.Fields(string(names)) {
		listed = append(listed, fmt.Sprintf(`{"name":%q,"description":"Does what is known as %s."}`, name, name))
	}
	answer := []byte(`{"result":{"tools":[` + strings.Join(listed, ",") + `]}}`)
	catalogue, err := tools.Load()
	if err != nil {
		return nil, err
	}
	straight, err := audit(catalogue, answer)
	if err != nil {
		return nil, err
	}
	through, err := throughListed(catalogue, answer)
	if err != nil {
		return nil, err
	}
	clean, err := audit(catalogue, through)
	if err != nil {
		return nil, err
	}
	lines := []string{"$ trinity-bridge tools audit --url http://mcp-server:8080/mcp --key-file key"}
	lines = append(lines, excerpt(straight)...)
	lines = append(lines, "", "$ trinity-bridge tools audit --url https://connect.example.com/mcp/listed --key-file key")
	lines = append(lines, clean...)
	return terminal("What tools audit prints: every gap of Trinity's own list, and none at /mcp/listed", lines), nil
}

func audit(catalogue *tools.Catalogue, answer []byte) ([]string, error) {
	listed, err := tools.ReadList(answer)
	if err != nil {
		return nil, err
	}
	report := catalogue.Audit(listed, false)
	var out bytes.Buffer
	if err := report.Write(&out); err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), nil
}

func throughListed(catalogue *tools.Catalogue, answer []byte) ([]byte, error) {
	lists, err := jsonrpc.ReadToolLists(answer)
	if err != nil {
		return nil, err
	}
	profile, _ := catalogue.Profile("listed")
	view := tools.View{Catalogue: catalogue, Profile: profile, Scopes: bridge.AllScopes(), ActingAs: bridge.ActAsUser}
	for i := range lists.Lists {
		lists.Lists[i].Tools, _ = view.List(lists.Lists[i].Tools)
	}
	return lists.Append(nil), nil
}

// excerpt leaves out most of a long table, and keeps a line of each kind and the sum.
func excerpt(table []string) []string {
	const gap = "…"
	kept := []string{}
	shown := []string{"TOOL", "list_agents", "get_agent", "inject_credentials", "report", "send_message", "call_user", "get_nevermined_payments", "list_playbooks"}
	for i, line := range table {
		name, _, _ := strings.Cut(line, " ")
		switch {
		case slices.Contains(shown, name), i >= len(table)-2:
			kept = append(kept, line)
		case kept[len(kept)-1] != gap:
			kept = append(kept, gap)
		}
	}
	return kept
}
