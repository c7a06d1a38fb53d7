package main

import (
	"encoding/json"
	"fmt"

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
	known, err := app.ListClients(c.ctx, l.Data)
	if err != nil {
		return err
	}
	if known.Partly {
		_, _ = fmt.Fprintf(c.err, "connections are counted among the newest %d only\n", known.Looked)
	}
	if l.JSON {
		return json.NewEncoder(c.out).Encode(known.Clients)
	}
	rows := newTable(c.out, "CLIENT", "NAME", "STATE", "CONNECTIONS", "ASKED", "DECIDED")
	for _, client := range known.Clients {
		err := rows.add(printable(client.ID), printable(client.Name), client.State, client.Connections, moment(client.AskedAt), moment(client.DecidedAt))
		if err != nil {
			return err
		}
	}
	return rows.end()
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
		if err := c.confirm("Shut out %s? Nobody can connect it any more, and calls of those who have are refused.", printable(b.Entry)); err != nil {
			return err
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
