package rows

import "github.com/abilityai/trinity-bridge/bridge"

// WhoseBytes is the length of a keyed hash that says whose a place is.
const WhoseBytes = 16

// tx is an engine's transaction and the key of its rows.
type tx struct {
	Tx
	key    bridge.RowKey
	hashed map[string]string // what foreign said of single values: places are made of the same few again and again
}

// foreign is the form in which values that come from outside stand in ids and places, which do not
// show them. Hashes without a key would: an e-mail address is found by trying addresses. It has one
// length, so that no value reaches into another's range, and what two outsiders give for one and two
// parts never meets, since each part is hashed by itself first.
func (t *tx) foreign(values ...string) string {
	if len(values) > 1 {
		return foreign(t.key, values...)
	}
	known, ok := t.hashed[values[0]]
	if !ok {
		known = foreign(t.key, values[0])
		if t.hashed == nil {
			t.hashed = map[string]string{}
		}
		t.hashed[values[0]] = known
	}
	return known
}

func foreign(key bridge.RowKey, values ...string) string {
	joined := values[0]
	if len(values) > 1 {
		joined = ""
		for _, value := range values {
			joined += foreign(key, value)
		}
	}
	mac := key.MAC("index", joined)
	return string(mac[:WhoseBytes])
}

// load reads a row into record and reports whether there is one.
func load(t *tx, row Ref, record any) (bool, error) {
	value, err := t.Get(row)
	if err != nil || value == nil {
		return false, err
	}
	return true, Decode(t.key, row, value, record)
}

// save stores a row that no index leads to.
func save(t *tx, row Ref, record any) error {
	value, err := Encode(t.key, row, record)
	if err != nil {
		return err
	}
	return t.Put(Row{Ref: row, Record: value})
}
