package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
)

type grantsCommand struct {
	List   grantsList   `cmd:"" help:"List grants, newest first."`
	Revoke grantsRevoke `cmd:"" help:"End grants: their next call is refused and their Trinity keys revoked."`
}

// running finds the running bridge.
type running struct {
	Data string `placeholder:"FOLDER" env:"TRINITY_BRIDGE_DATA" default:"data" help:"The running bridge's data folder."`
}

// printed is how a command prints.
type printed struct {
	JSON bool `name:"json" help:"Print JSON."`
}

type healthCommand struct{ running }

// Run fails with what is missing.
func (h *healthCommand) Run(c *console) error {
	if err := app.Health(c.ctx, h.Data); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.out, "ok")
	return err
}

type grantsList struct {
	running
	printed
	Client string `placeholder:"ID" help:"Only this client's: client_id of --json."`
	Person string `placeholder:"ID" help:"Only this person's: person_id of --json."`
}

// Run prints a table, or JSON.
func (g *grantsList) Run(c *console) error {
	grants, err := app.ListGrants(c.ctx, g.Data, g.Person, g.Client)
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(c.out).Encode(grants)
	}
	return printGrants(c, grants)
}

func printGrants(c *console, grants []app.ListedGrant) error {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tSTATUS\tACCOUNT\tACTS AS\tCLIENT\tRESOURCE\tSCOPE\tCREATED\tENDED BECAUSE")
	for _, grant := range grants {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", grant.ID, grant.Status, printable(grant.Account),
			printable(bridge.ActingAs{Kind: grant.ActingAs, Agent: grant.Agent}.String()), printable(grant.Client),
			grant.Resource, grant.Scope, grant.CreatedAt.Format(time.DateTime), grant.EndReason)
	}
	return table.Flush()
}

type grantsRevoke struct {
	running
	printed
	IDs    []string `arg:"" optional:"" name:"id" help:"The grants' ids."`
	Client string   `placeholder:"ID" help:"All of this client's: client_id of grants list --json."`
	Person string   `placeholder:"ID" help:"All of this person's: person_id of grants list --json."`
	All    bool     `help:"All of everybody's."`
	Yes    bool     `short:"y" help:"Do not ask."`
}

// Run shows what it will end and asks, then ends it.
func (g *grantsRevoke) Run(c *console) error {
	if err := g.check(); err != nil {
		return err
	}
	ids := g.IDs
	if len(ids) == 0 {
		open, err := g.open(c)
		if err != nil {
			return err
		}
		for _, grant := range open {
			ids = append(ids, grant.ID)
		}
		if !g.Yes && len(open) > 0 {
			if err := printGrants(c, open); err != nil {
				return err
			}
		}
	}
	if !g.Yes && len(ids) > 0 {
		_, _ = fmt.Fprintf(c.out, "End %s? Who uses it has to connect again. [y/N] ", grantsNamed(ids))
		if !confirmed(c.ctx) {
			return errors.New("nothing was changed")
		}
	}
	ended, err := app.RevokeGrants(c.ctx, g.Data, ids...)
	if g.JSON {
		return errors.Join(err, json.NewEncoder(c.out).Encode(ended))
	}
	if len(ids) == 0 {
		_, _ = fmt.Fprintln(c.out, "there is nothing to end")
	}
	for _, grant := range ended {
		_, _ = fmt.Fprintf(c.out, "grant %s of %s is ended (%s)\n", grant.ID, printable(grant.Account), grant.EndReason)
	}
	return err
}

// check wants it said once which grants are meant.
func (g *grantsRevoke) check() error {
	some := g.Client != "" || g.Person != ""
	switch {
	case len(g.IDs) == 0 && !some && !g.All:
		return usageError("say which grants to end: by id, --person, --client or --all")
	case len(g.IDs) > 0 && (some || g.All), g.All && some:
		return usageError("name grants by id, or those of a --person and a --client, or --all")
	}
	return nil
}

// open are the grants meant that have not ended.
func (g *grantsRevoke) open(c *console) ([]app.ListedGrant, error) {
	grants, err := app.ListGrants(c.ctx, g.Data, g.Person, g.Client)
	return slices.DeleteFunc(grants, func(l app.ListedGrant) bool { return l.Status == bridge.GrantEnded }), err
}

func grantsNamed(ids []string) string {
	if len(ids) == 1 {
		return "grant " + ids[0]
	}
	return fmt.Sprintf("these %d grants", len(ids))
}

func confirmed(_ context.Context) bool {
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err == nil && strings.EqualFold(strings.TrimSpace(line), "y")
}

// printable keeps a client's own words from moving the terminal's cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r <= 0x9f {
			return '?'
		}
		return r
	}, text)
}
