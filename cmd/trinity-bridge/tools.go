package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

type toolsCommand struct {
	List    toolsList    `cmd:"" help:"List the tools that a profile, or a grant of the running bridge, sees: of the catalogue, or of a server's list."`
	Audit   toolsAudit   `cmd:"" help:"Hold a server's list of tools against what directories want. Exit code 1 when there are gaps."`
	Overlay toolsOverlay `cmd:"" help:"Write an overlay file for the tools of a list that the catalogue does not know."`
}

// judged is where the operator's judgements and profiles come from.
type judged struct {
	Config       string `placeholder:"FILE" help:"The bridge's configuration file: its profiles and overlay count."`
	ToolsOverlay string `name:"tools-overlay" placeholder:"FILE" help:"YAML file of judgements that are laid over the program's own."`
}

func (j judged) catalogue() (*tools.Catalogue, error) {
	return config.Tools(config.Flags{Config: j.Config, ToolsOverlay: j.ToolsOverlay}, os.LookupEnv)
}

type toolsList struct {
	judged
	listSource
	printed
	Profile  string `placeholder:"NAME" help:"The tool set, such as listed or read (default all)."`
	Scope    string `placeholder:"SCOPES" help:"What the connection may do, such as 'trinity:read trinity:write' (default all)."`
	ActingAs string `name:"acting-as" placeholder:"KIND" enum:"user,agent,system," default:"" help:"What it acts as: user, agent or system (default user)."`
	Grant    string `placeholder:"ID" help:"A grant of the running bridge, in the place of profile, scope and kind."`
	Data     string `placeholder:"FOLDER" env:"TRINITY_BRIDGE_DATA" default:"data" help:"The running bridge's data folder, for --grant."`
}

// shownTool is a line of the list.
type shownTool struct {
	Name        string       `json:"name"`
	Title       string       `json:"title"`
	Category    string       `json:"category"`
	Scope       bridge.Scope `json:"scope"`
	ReadOnly    bool         `json:"read_only"`
	Destructive bool         `json:"destructive"`
	Idempotent  bool         `json:"idempotent"`
	OpenWorld   bool         `json:"open_world"`
}

// Run prints a table, or JSON.
func (l *toolsList) Run(c *console) error {
	catalogue, err := l.catalogue()
	if err != nil {
		return err
	}
	view, err := l.view(c, catalogue)
	if err != nil {
		return err
	}
	shown, err := l.shown(c, view)
	if err != nil {
		return err
	}
	if l.JSON {
		return json.NewEncoder(c.out).Encode(shown)
	}
	rows := newTable(c.out, "TOOL", "TITLE", "CATEGORY", "SCOPE", "HINTS")
	for _, t := range shown {
		if err := rows.add(printable(t.Name), printable(t.Title), t.Category, t.Scope, t.hints()); err != nil {
			return err
		}
	}
	err = rows.end()
	if err == nil {
		_, err = fmt.Fprintf(c.out, "\n%d tools\n", len(shown))
	}
	return err
}

func (l *toolsList) view(c *console, catalogue *tools.Catalogue) (*tools.View, error) {
	view := &tools.View{Catalogue: catalogue, Scopes: bridge.AllScopes(), ActingAs: bridge.ActAsUser}
	profile := l.Profile
	if l.Scope != "" {
		var unknown int
		if view.Scopes, unknown = bridge.ParseScopes(l.Scope); unknown > 0 || len(view.Scopes) == 0 {
			return nil, usageError(fmt.Sprintf("--scope: %q is not made of %s", l.Scope, bridge.AllScopes()))
		}
	}
	if l.ActingAs != "" {
		view.ActingAs = bridge.ActingKind(l.ActingAs)
	}
	if l.Grant != "" {
		if l.Profile+l.Scope+l.ActingAs != "" {
			return nil, usageError("--grant stands in the place of --profile, --scope and --acting-as")
		}
		grant, err := app.OneGrant(c.ctx, l.Data, l.Grant)
		if err != nil {
			return nil, err
		}
		view.Scopes, _ = bridge.ParseScopes(grant.Scope)
		view.ActingAs = grant.ActingAs
		_, path, _ := strings.Cut(grant.Resource, discovery.PathMCP)
		profile = strings.TrimPrefix(path, "/")
	}
	var known bool
	if view.Profile, known = catalogue.Profile(profile); !known {
		return nil, usageError(fmt.Sprintf("there is no profile %q", profile))
	}
	return view, nil
}

// shown are the tools of a server's list as the view has them, or those of the catalogue.
func (l *toolsList) shown(c *console, view *tools.View) ([]shownTool, error) {
	shown := []shownTool{}
	if !l.given() {
		for _, t := range view.Listed() {
			shown = append(shown, shownTool{
				t.Name, t.Title, t.Category, t.Scope, t.Hints.ReadOnly, t.Hints.Destructive, t.Hints.Idempotent, t.Hints.OpenWorld,
			})
		}
		return shown, nil
	}
	listed, err := l.read(c)
	if err != nil {
		return nil, err
	}
	visible, _ := view.List(listed)
	for _, t := range visible {
		judged, _ := view.Catalogue.Judge(t.Name)
		h := t.Set.Hints
		shown = append(shown, shownTool{t.Name, t.Set.Title, judged.Category, judged.Scope, h[0], h[1], h[2], h[3]})
	}
	return shown, nil
}

// hints are the ones that are said of the tool, in words.
func (t shownTool) hints() string {
	words := []string{}
	for _, hint := range []struct {
		said bool
		word string
	}{{t.ReadOnly, "read-only"}, {t.Destructive, "destructive"}, {t.Idempotent, "idempotent"}, {t.OpenWorld, "open world"}} {
		if hint.said {
			words = append(words, hint.word)
		}
	}
	return strings.Join(words, ", ")
}

type toolsAudit struct {
	judged
	listSource
	printed
	Unlisted bool `help:"For an address that is in no directory: prohibited categories and tools that do not work for a person are no gaps."`
}

// Run prints what was found, and fails when there are gaps.
func (a *toolsAudit) Run(c *console) error {
	catalogue, err := a.catalogue()
	if err != nil {
		return err
	}
	listed, err := a.read(c)
	if err != nil {
		return err
	}
	report := catalogue.Audit(listed, a.Unlisted)
	if a.JSON {
		err = json.NewEncoder(c.out).Encode(report)
	} else {
		err = report.Write(c.out)
	}
	if gaps := report.Gaps(); err == nil && gaps > 0 {
		return fmt.Errorf("%d gaps", gaps)
	}
	return err
}

type toolsOverlay struct {
	judged
	listSource
	Out string `placeholder:"FILE" help:"Write it here, to a file that is not there yet (default standard output)."`
}

// Run writes the overlay.
func (o *toolsOverlay) Run(c *console) error {
	catalogue, err := o.catalogue()
	if err != nil {
		return err
	}
	listed, err := o.read(c)
	if err != nil {
		return err
	}
	draft, n, err := catalogue.Draft(listed)
	if err != nil {
		return err
	}
	if o.Out == "" {
		_, err = c.out.Write(draft)
		return err
	}
	file, err := os.OpenFile(o.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing the overlay: %w", err)
	}
	if _, err = file.Write(draft); err != nil {
		_ = file.Close()
		return fmt.Errorf("writing the overlay: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("writing the overlay: %w", err)
	}
	_, err = fmt.Fprintf(c.out, "wrote %d tools to %s\n", n, o.Out)
	return err
}
