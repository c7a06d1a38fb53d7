package main

import (
	"fmt"
	"iter"

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
	listed
	Client string `placeholder:"ID" help:"Only this client's: client_id of --json."`
	Person string `placeholder:"ID" help:"Only this person's: person_id of --json."`
	Open   bool   `help:"Only those that have not ended."`
}

// Run prints a table, or JSON.
func (g *grantsList) Run(c *console) error {
	grants := app.ListGrants(c.ctx, g.Data, g.Person, g.Client)
	if g.Open {
		grants = open(grants)
	}
	return printList(c, g.listed, grants, grantHead(), grantRow)
}

// open leaves out grants that have ended.
func open(grants iter.Seq2[app.ListedGrant, error]) iter.Seq2[app.ListedGrant, error] {
	return func(yield func(app.ListedGrant, error) bool) {
		for grant, err := range grants {
			if (err != nil || grant.Status != bridge.GrantEnded) && !yield(grant, err) {
				return
			}
		}
	}
}

func grantHead() []any {
	return []any{"ID", "STATUS", "ACCOUNT", "ACTS AS", "CLIENT", "RESOURCE", "SCOPE", "CREATED", "ENDED BECAUSE"}
}

func grantRow(g app.ListedGrant) []any {
	as := bridge.ActingAs{Kind: g.ActingAs, Agent: g.Agent}
	return []any{
		g.ID, g.Status, printable(g.Account), printable(as.String()), printable(g.Client), g.Resource, g.Scope, moment(&g.CreatedAt), g.EndReason,
	}
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
		var err error
		if ids, err = g.meant(c); err != nil {
			return err
		}
	}
	if !g.Yes && len(ids) > 0 {
		if err := c.confirm("End %s? Who uses it has to connect again.", grantsNamed(ids)); err != nil {
			return err
		}
	}
	if g.JSON {
		ended := newArray(c.out)
		err := app.RevokeGrants(c.ctx, g.Data, ids, func(grant app.ListedGrant) {
			_ = ended.add(grant) // the end tells, and keeps no grant from ending
		})
		if unsaid := ended.end(); err == nil {
			err = unsaid
		}
		return err
	}
	if len(ids) == 0 {
		_, err := fmt.Fprintln(c.out, "there is nothing to end")
		return err
	}
	return app.RevokeGrants(c.ctx, g.Data, ids, func(grant app.ListedGrant) {
		_, _ = fmt.Fprintf(c.out, "grant %s of %s is ended (%s)\n", grant.ID, printable(grant.Account), grant.EndReason)
	})
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

// meant are the ids of the grants meant that have not ended. It shows them when it is asked about them next.
func (g *grantsRevoke) meant(c *console) (ids []string, err error) {
	shown := newTable(c.err, grantHead()...)
	for grant, err := range open(app.ListGrants(c.ctx, g.Data, g.Person, g.Client)) {
		if err == nil && !g.Yes {
			err = shown.add(grantRow(grant)...)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, grant.ID)
	}
	if g.Yes || len(ids) == 0 {
		return ids, nil
	}
	return ids, shown.end()
}

func grantsNamed(ids []string) string {
	if len(ids) == 1 {
		return "grant " + ids[0]
	}
	return fmt.Sprintf("these %d grants", len(ids))
}
