package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/app"
)

type keysCommand struct {
	List   keysList   `cmd:"" help:"List the keys that access tokens are signed with."`
	Rotate keysRotate `cmd:"" help:"Let the next key take over. Tokens signed before stay good until they expire."`
	Reseal keysReseal `cmd:"" help:"Seal anew under the secret what --secret-previous has sealed, so that it is needed no more."`
}

type keysList struct {
	running
	printed
}

// Run prints a table, or JSON.
func (k *keysList) Run(c *console) error {
	keys, err := app.ListKeys(c.ctx, k.Data)
	if err != nil {
		return err
	}
	return printKeys(c, keys, k.JSON)
}

type keysRotate struct {
	running
	printed
	Emergency bool `help:"A key has leaked: drop all keys and the access tokens signed with them, and sign with a new one at once."`
	Yes       bool `short:"y" help:"Do not ask."`
}

// Run rotates; before an emergency it asks.
func (k *keysRotate) Run(c *console) error {
	if k.Emergency && !k.Yes {
		_, _ = fmt.Fprint(c.out, "Drop all signing keys? Every access token dies at once; clients fetch new ones by themselves. [y/N] ")
		if !confirmed(c.ctx) {
			return errors.New("nothing was changed")
		}
	}
	keys, err := app.RotateKeys(c.ctx, k.Data, k.Emergency)
	if err != nil {
		return err
	}
	return printKeys(c, keys, k.JSON)
}

type keysReseal struct {
	running
	printed
}

// Run seals anew and looks once more whether anything is left.
func (k *keysReseal) Run(c *console) error {
	last, anew, err := app.Reseal(c.ctx, k.Data)
	if err != nil {
		return fmt.Errorf("%d values are sealed anew; run it again to go on: %w", anew, err)
	}
	if k.JSON {
		err = json.NewEncoder(c.out).Encode(map[string]int{"values": last.Values, "anew": anew, "lost": last.Lost})
	} else {
		_, err = fmt.Fprintf(c.out, "%d values are sealed anew; all %d that can be opened are under the secret, and the previous one is needed no more\n", anew, last.Values-last.Lost)
	}
	if err == nil && last.Lost > 0 {
		err = fmt.Errorf("%d values are opened by neither secret: they were lost before", last.Lost)
	}
	return err
}

func printKeys(c *console, keys []app.ListedKey, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(c.out).Encode(keys)
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tALGORITHM\tPHASE\tCREATED\tSIGNS FROM\tRETIRES")
	for _, key := range keys {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, key.Algorithm, key.Phase,
			key.CreatedAt.Format(time.DateTime), moment(key.SignsFrom), moment(key.RetiresAt))
	}
	return table.Flush()
}

func moment(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return at.Format(time.DateTime)
}
