package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
)

type clientsCommand struct {
	List  clientsList  `cmd:"" help:"List the clients people have connected, those you decided about, and those that ask to be let in."`
	Allow clientsAllow `cmd:"" help:"Let a host's clients in, or one client."`
	Block clientsBlock `cmd:"" help:"Shut a host's clients out, or one client: their calls are refused from now on."`
}

type clientsList struct {
	running
	printed
}

// Run prints a table, or JSON.
func (l *clientsList) Run(c *console) error {
	listed, err := app.ListClients(c.ctx, l.Data)
	if err != nil {
		return err
	}
	if l.JSON {
		return json.NewEncoder(c.out).Encode(listed)
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CLIENT\tNAME\tSTATE\tCONNECTIONS\tASKED\tDECIDED")
	for _, client := range listed {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", printable(client.ID), printable(client.Name), client.State,
			client.Connections, dateOrNothing(client.AskedAt), dateOrNothing(client.DecidedAt))
	}
	return table.Flush()
}

func dateOrNothing(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.Format(time.DateTime)
}

type clientsAllow struct {
	running
	printed
	Entry string `arg:"" help:"Host name, *. and a name for all hosts below it, or a whole client id."`
}

// Run decides and says what holds now.
func (a *clientsAllow) Run(c *console) error { return decideClient(c, a.Data, a.Entry, true, a.JSON) }

type clientsBlock struct {
	running
	printed
	Entry string `arg:"" help:"Host name, *. and a name for all hosts below it, or a whole client id."`
	Yes   bool   `short:"y" help:"Do not ask."`
}

// Run asks, then decides.
func (b *clientsBlock) Run(c *console) error {
	if !b.Yes {
		_, _ = fmt.Fprintf(c.out, "Shut out %s? Nobody can connect it any more, and calls of those who have are refused. [y/N] ", printable(b.Entry))
		if !confirmed(c.ctx) {
			return errors.New("nothing was changed")
		}
	}
	return decideClient(c, b.Data, b.Entry, false, b.JSON)
}

func decideClient(c *console, data, entry string, allowed, asJSON bool) error {
	client, err := app.DecideClient(c.ctx, data, entry, allowed)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(c.out).Encode(client)
	}
	_, err = fmt.Fprintf(c.out, "%s is %s\n", printable(client.ID), client.State)
	return err
}
