package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/app"
)

type grantsCommand struct {
	List   grantsList   `cmd:"" help:"List grants, newest first."`
	Revoke grantsRevoke `cmd:"" help:"End a grant: its next call is refused and its Trinity key revoked."`
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
	Client string `placeholder:"ID" help:"Only this client's."`
	Person string `placeholder:"ID" help:"Only this person's."`
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
	ID  string `arg:"" help:"The grant's id."`
	Yes bool   `short:"y" help:"Do not ask."`
}

// Run asks, then ends the grant.
func (g *grantsRevoke) Run(c *console) error {
	if !g.Yes {
		_, _ = fmt.Fprintf(c.out, "End grant %s? Its client has to be connected again. [y/N] ", g.ID)
		if !confirmed(c.ctx) {
			return errors.New("nothing was changed")
		}
	}
	grant, err := app.RevokeGrant(c.ctx, g.Data, g.ID)
	if err != nil {
		return err
	}
	if g.JSON {
		return json.NewEncoder(c.out).Encode(grant)
	}
	_, err = fmt.Fprintf(c.out, "grant %s of %s is ended (%s)\n", grant.ID, printable(grant.Account), grant.EndReason)
	return err
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
