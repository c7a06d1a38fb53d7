package badger

import (
	"slices"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// Keys are short, since a row has several and nothing compresses them. A row is stored under a byte for its kind, and its
// id; a place under a byte for its index, whose it is, when, and the id of the row it leads to, with its kind before it where
// that may be any. Every part but the last has a fixed length, so that no value can reach into another's range; ids show
// nothing of what they name.
const (
	maxKeyBytes = 1 << 10
	indexMark   = "" // the value of a place
)

// The first bytes of keys: of rows, of what fills a memory table up, of ticks, and to the end of places. One key is apart from them, schemaKey.
const (
	firstKind  = 0x01
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

func rowKey(row rows.Ref) string { return kindPrefix(row.Kind) + idPart(row.ID) }

// refOf is the row of a key; false for what is no row's.
func refOf(key string) (rows.Ref, bool) {
	kind, ok := begins(key, firstKind, keyKinds)
	if !ok {
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

// placeKey is the key of one place of a row.
func placeKey(place rows.Place, row rows.Ref) string {
	id := idPart(row.ID)
	if place.Index.Kind == "" {
		id = rowKey(row)
	}
	return indexPrefix(place.Index, place.Whose) + timePart(place.Index, place.At) + id
}

// placeOf is the index of a place's key, and the row it leads to.
func placeOf(key string) (index rows.Index, row rows.Ref, ok bool) {
	index, ok = begins(key, firstIndex, keyIndexes)
	before := 1 + index.Whose*rows.WhoseBytes
	if index.Order != rows.ByID {
		before += rows.TimeBytes
	}
	if !ok || len(key) < before {
		return index, row, false
	}
	if index.Kind == "" {
		row, ok = refOf(key[before:])
		return index, row, ok
	}
	row.Kind = index.Kind
	row.ID, ok = idOf(key[before:])
	return index, row, ok
}

// timePart is what stands before the id in an index by time.
func timePart(index rows.Index, at time.Time) string {
	switch index.Order {
	case rows.OldestFirst:
		return rows.OldestFirstKey(at)
	case rows.NewestFirst:
		return rows.NewestFirstKey(at)
	case rows.ByID:
	}
	return ""
}

// idPart is an id at the end of a key: the bytes of one that bridge.NewID or bridge.GrantID made; any other filled up to
// be longer than those, with bytes that say how many they are.
func idPart(id string) string {
	if raw := bridge.BytesOf(id); raw != nil {
		return string(raw)
	}
	fill := max(1, bridge.IDBytes+1-len(id))
	return id + strings.Repeat(firstByte(fill), fill)
}

// idOf reads what idPart wrote; false for what it would not have written.
func idOf(part string) (string, bool) {
	if len(part) == bridge.IDBytes || len(part) == bridge.GrantIDBytes {
		return bridge.IDOf([]byte(part)), true
	}
	if len(part) < bridge.IDBytes {
		return "", false
	}
	fill := int(part[len(part)-1])
	if fill > len(part) {
		return "", false
	}
	id := part[:len(part)-fill]
	return id, idPart(id) == part
}
