package badger

import (
	"bytes"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
)

// keyTime is when the places are that the tests make.
var keyTime = time.Date(2026, 11, 2, 9, 30, 0, 1, time.UTC)

// keyIDs are ids of every form and length, those that look like parts of keys among them.
func keyIDs() []string {
	ids := []string{
		storetest.RandomID(), bridge.GrantID(keyTime, "a flow"), bridge.GrantID(keyTime.Add(time.Millisecond), "a flow"), strings.Repeat("a", 16), strings.Repeat("7", 16), strings.Repeat("a", 26), strings.Repeat("a", 25) + "b", // the last has bits left over
		strings.ToUpper(strings.Repeat("a", 26)), "deployment", "\x01", "\x00", strings.Repeat("\x01", 16), strings.Repeat("\xff", 768),
	}
	for n := 1; n < 40; n++ {
		random := make([]byte, n)
		_, _ = rand.Read(random) // never fails
		ids = append(ids, string(random), strings.Repeat("x", n), strings.Repeat("x", n-1)+"\x01", strings.Repeat("\x02", n))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// TestKeys_reversible: every key says which row it is of, or leads to, and no two are the same.
func TestKeys_reversible(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	once := func(key string) {
		t.Helper()
		if seen[key] {
			t.Errorf("%q is the key of two", key)
		}
		seen[key] = true
	}
	for _, id := range keyIDs() {
		for _, kind := range rows.Kinds() {
			row := rows.Ref{Kind: kind, ID: id}
			key := rowKey(row)
			once(key)
			if got, ok := refOf(key); !ok || got != row {
				t.Errorf("the key of %q is that of %q, %v", row, got, ok)
			}
			if _, _, ok := placeOf(key); ok {
				t.Errorf("the key of %q is a place's, too", row)
			}
		}
		for _, index := range rows.Indexes() {
			row := rows.Ref{Kind: index.Kind, ID: id}
			if index.Kind == "" {
				row.Kind = rows.KindCode
			}
			for _, whose := range []string{"\x00", "x", "\xff"} {
				place := rows.Place{Index: index, Whose: strings.Repeat(whose, index.Whose*rows.WhoseBytes), At: keyTime}
				key := placeKey(place, row)
				if key == rowKey(row) {
					if index != rows.IndexGrants || !says(index, idPart(id)) {
						t.Errorf("a place of %q in %s is its row", row, index.Name)
					}
					continue
				}
				if index.Whose > 0 || whose == "x" {
					once(key)
				}
				if led, got, ok := placeOf(key); !ok || led != index || got != row {
					t.Errorf("a place of %q in %s leads to %q in %s, %v", row, index.Name, got, led.Name, ok)
				}
				if _, ok := refOf(key); ok {
					t.Errorf("a place of %q is a row, too", row)
				}
			}
		}
	}
}

// TestKeys_short: the places of a grant in lists newest first say its time once, where its id does, and are told from those
// of which the id says another.
func TestKeys_short(t *testing.T) {
	t.Parallel()
	whose := strings.Repeat("w", rows.WhoseBytes)
	for _, tt := range []struct {
		what string
		id   string
		want int
	}{
		{"its time", bridge.GrantID(keyTime, "a flow"), 1 + rows.WhoseBytes + bridge.GrantIDBytes},
		{"another", bridge.GrantID(keyTime.Add(time.Millisecond), "a flow"), 1 + rows.WhoseBytes + timeBytes + bridge.GrantIDBytes},
		{"none", storetest.RandomID(), 1 + rows.WhoseBytes + timeBytes + bridge.IDBytes},
	} {
		row := rows.Ref{Kind: rows.KindGrant, ID: tt.id}
		if key := placeKey(rows.Place{Index: rows.IndexPersonGrants, Whose: whose, At: keyTime}, row); len(key) != tt.want {
			t.Errorf("an id that says %s has a key of %d bytes, want %d", tt.what, len(key), tt.want)
		}
		if key := placeKey(rows.Place{Index: rows.IndexLapses, At: keyTime}, row); len(key) != 1+timeBytes+len(idPart(tt.id)) {
			t.Errorf("a place in another index has a key of %d bytes", len(key))
		}
	}
}

// TestKeys_ranges: what is walked through by a prefix is that alone, and in the order of the index.
func TestKeys_ranges(t *testing.T) {
	t.Parallel()
	prefixes := []string{firstByte(timedGrant), firstByte(firstTick), firstByte(firstPad), schemaKey}
	for _, kind := range rows.Kinds() {
		prefixes = append(prefixes, kindPrefix(kind))
	}
	for _, index := range rows.Indexes() {
		for _, whose := range []string{"\x00", "x"} {
			if index.Whose > 0 || whose == "x" {
				prefixes = append(prefixes, indexPrefix(index, strings.Repeat(whose, index.Whose*rows.WhoseBytes)))
			}
		}
	}
	for i, one := range prefixes {
		for j, other := range prefixes {
			if i != j && strings.HasPrefix(one, other) {
				t.Errorf("%q lies in the range of %q", one, other)
			}
		}
	}
	early := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	late := early.Add(time.Millisecond)
	others := append(keyIDs(), bridge.GrantID(early, "early"), bridge.GrantID(late, "late"))
	for _, index := range rows.Indexes() {
		for _, id := range keyIDs() {
			for _, other := range others {
				if index == rows.IndexGrants && (saysAnother(id, early) || saysAnother(other, late)) {
					continue // it is where it says
				}
				a, b := placePart(index, early, rows.Ref{Kind: rows.KindGrant, ID: id}), placePart(index, late, rows.Ref{Kind: rows.KindGrant, ID: other})
				if index.Order == rows.NewestFirst && a <= b || index.Order == rows.OldestFirst && a >= b {
					t.Errorf("%s does not sort by time", index.Name)
				}
			}
		}
	}
}

// saysAnother reports whether an id says another time.
func saysAnother(id string, than time.Time) bool {
	part := idPart(id)
	return len(part) == bridge.GrantIDBytes && !strings.HasPrefix(part, timePart(rows.IndexGrants, than))
}

// TestKeys_damaged: what is no key of this program leads to nothing, and to no panic.
func TestKeys_damaged(t *testing.T) {
	t.Parallel()
	good := []string{"", schemaKey, rowKey(rows.Ref{Kind: rows.KindGrant, ID: "grant"}), rowKey(rows.Ref{Kind: rows.KindGrant, ID: bridge.GrantID(keyTime, "a flow")})}
	for _, index := range rows.Indexes() {
		good = append(good, placeKey(rows.Place{Index: index, Whose: strings.Repeat("w", index.Whose*rows.WhoseBytes)}, rows.Ref{Kind: rows.KindGrant, ID: "grant"}))
	}
	for _, key := range good {
		for n := range len(key) {
			for b := range 256 {
				spoilt := bytes.Clone([]byte(key[:n+1]))
				spoilt[n] = byte(b)
				if row, ok := refOf(string(spoilt)); ok && rowKey(row) != string(spoilt) {
					t.Errorf("%q is taken for the key of %q", spoilt, row)
				}
				_, _, _ = placeOf(string(spoilt))
			}
		}
	}
}
