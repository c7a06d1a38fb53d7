package badger

import (
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// Keys are short, since a row has several, and what is random in them is not compressed. A row is stored under a byte for its kind, and its
// id; a place under a byte for its index, whose it is, when, and the id of the row it leads to, with its kind before it where
// that may be any. An id that begins with when in the index's own form says it itself. Every part but the last has a fixed
// length, so that no value can reach into another's range, and the last says by its length what it is; ids show nothing of
// what they name.
const (
	maxKeyBytes = 1 << 10
	indexMark   = "" // the value of a place
)

// The first bytes of keys: of rows, of what fills a memory table up, of ticks, and to the end of places. One key is apart from them, schemaKey.
const (
	firstKind  = 0x01
	timedGrant = 0x7d // one more kind of row, see partKey
	firstPad   = 0x7e
	firstTick  = 0x7f
	firstIndex = 0x80
)

// keyKinds and keyIndexes say by their order which byte is whose: new ones go to the end.
var (
	keyKinds = []rows.Kind{
		rows.KindAudit, rows.KindClient, rows.KindCode, rows.KindConsent, rows.KindCounter, rows.KindFlow, rows.KindGrant,
		rows.KindIdentity, rows.KindLink, rows.KindMeta, rows.KindRevocation, rows.KindUsed,
	}
	keyIndexes = []rows.Index{
		rows.IndexDue, rows.IndexGrants, rows.IndexPersonGrants, rows.IndexClientGrants, rows.IndexLapses,
		rows.IndexLinkGrants, rows.IndexIdentityGrants, rows.IndexLinks, rows.IndexPersonLink, rows.IndexSubjects, rows.IndexSIDs,
		rows.IndexSessions, rows.IndexRevocations, rows.IndexPersonKeys, rows.IndexGrantAudit,
	}
)

func rowKey(row rows.Ref) string { return partKey(row.Kind, idPart(row.ID)) }

// partKey is the key of a row whose idPart is known. Grants whose ids say when they were made have a range of their own,
// which is in the order of rows.IndexGrants: that keeps no places for them.
func partKey(kind rows.Kind, id string) string {
	if kind == rows.KindGrant && len(id) == bridge.GrantIDBytes {
		return firstByte(timedGrant) + id
	}
	return kindPrefix(kind) + id
}

// refOf is the row of a key; false for what is no row's.
func refOf(key string) (rows.Ref, bool) {
	kind, ok := begins(key, firstKind, keyKinds)
	if key != "" && key[0] == timedGrant {
		kind, ok = rows.KindGrant, true
	}
	if !ok || partKey(kind, key[1:]) != key {
		return rows.Ref{}, false
	}
	id, ok := idOf(key[1:])
	return rows.Ref{Kind: kind, ID: id}, ok
}

// begins is which of a list the first byte of a key stands for; false for none.
func begins[T any](key string, first int, list []T) (which T, ok bool) {
	if key == "" || int(key[0]) < first || int(key[0]) >= first+len(list) {
		return which, false
	}
	return list[int(key[0])-first], true
}

func kindPrefix(kind rows.Kind) string { return firstByte(firstKind + slices.Index(keyKinds, kind)) }

// indexPrefix is what the keys of an index begin with.
func indexPrefix(index rows.Index, whose string) string {
	if index.Name == "" {
		return kindPrefix(index.Kind)
	}
	return firstByte(firstIndex+slices.Index(keyIndexes, index)) + whose
}

func firstByte(b int) string { return string([]byte{byte(b)}) } //nolint:gosec // there are not so many

// placeKey is the key of one place of a row. That of a row which is in the order of the index is its own.
func placeKey(place rows.Place, row rows.Ref) string {
	part := placePart(place.Index, place.At, row)
	if place.Index == rows.IndexGrants && says(place.Index, part) {
		return rowKey(row)
	}
	return indexPrefix(place.Index, place.Whose) + part
}

// placePart is what stands behind whose a place is.
func placePart(index rows.Index, at time.Time, row rows.Ref) string {
	when, id := timePart(index, at), idPart(row.ID)
	switch {
	case index.Kind == "":
		id = rowKey(row)
	case says(index, id) && (index == rows.IndexGrants || strings.HasPrefix(id, when)):
		return id
	}
	return when + id
}

// says reports whether a part of a key is the id in a place of an index newest first, and begins with its time.
func says(index rows.Index, part string) bool {
	return index.Order == rows.NewestFirst && len(part) == bridge.GrantIDBytes
}

// idIn is the id, or the key of a row, in what placePart wrote; false for what it would not have written.
func idIn(index rows.Index, part string) (id string, ok bool) {
	switch {
	case index.Order == rows.ByID || says(index, part):
		return part, true
	case len(part) < timeBytes:
		return "", false
	}
	return part[timeBytes:], true
}

// placeOf is the index of a place's key, and the row it leads to.
func placeOf(key string) (index rows.Index, row rows.Ref, ok bool) {
	index, ok = begins(key, firstIndex, keyIndexes)
	before := 1 + index.Whose*rows.WhoseBytes
	if !ok || len(key) < before {
		return index, row, false
	}
	part, ok := idIn(index, key[before:])
	if ok && index.Kind == "" {
		row, ok = refOf(part)
	} else if ok {
		row.Kind = index.Kind
		row.ID, ok = idOf(part)
	}
	return index, row, ok
}

// idPart is an id at the end of a key: the bytes of one that bridge.NewID or bridge.GrantID made, of the latter those of
// its time as an index newest first has them; any other filled up to be longer than those, with bytes that say how many
// they are.
func idPart(id string) string {
	switch raw := bridge.BytesOf(id); len(raw) {
	case bridge.GrantIDBytes:
		return turned(string(raw))
	case bridge.IDBytes:
		return string(raw)
	}
	fill := max(1, bridge.IDBytes+1-len(id))
	return id + strings.Repeat(firstByte(fill), fill)
}

// idOf reads what idPart wrote; false for what it would not have written.
func idOf(part string) (string, bool) {
	switch {
	case len(part) == bridge.GrantIDBytes:
		return bridge.IDOf([]byte(turned(part))), true
	case len(part) == bridge.IDBytes:
		return bridge.IDOf([]byte(part)), true
	case len(part) < bridge.IDBytes:
		return "", false
	}
	fill := int(part[len(part)-1])
	if fill > len(part) {
		return "", false
	}
	id := part[:len(part)-fill]
	return id, idPart(id) == part
}
