package main

import (
	"encoding/json"
	"fmt"

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
		if err := c.confirm("Drop all signing keys? Every access token dies at once; clients fetch new ones by themselves."); err != nil {
			return err
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
	rows := newTable(c.out, "ID", "ALGORITHM", "PHASE", "CREATED", "SIGNS FROM", "RETIRES")
	for _, key := range keys {
		if err := rows.add(key.ID, key.Algorithm, key.Phase, moment(&key.CreatedAt), moment(key.SignsFrom), moment(key.RetiresAt)); err != nil {
			return err
		}
	}
	return rows.end()
}
