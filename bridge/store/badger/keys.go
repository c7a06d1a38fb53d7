package badger

import (
	"strings"

	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// Rows are stored under "<kind>/<id>", index rows under "index/<name>/<parts>": whose they are, when,
// and the id; for the index of what is due the id is "<kind>/<id>". Every part but the last has a
// fixed length, so that no value can reach into another's range; ids show nothing of what they name.
const (
	maxKeyBytes = 1 << 10
	indexMark   = "\x01" // the value of an index row
)

// schemaRow holds the layout's version.
var schemaRow = rows.Ref{Kind: rows.KindMeta, ID: "schema"}

func rowKey(row rows.Ref) string { return kindPrefix(row.Kind) + row.ID }

func kindPrefix(kind rows.Kind) string { return string(kind) + "/" }

// refOf is the row of a key; false for the row of an index.
func refOf(key string) (rows.Ref, bool) {
	kind, id, _ := strings.Cut(key, "/")
	return rows.Ref{Kind: rows.Kind(kind), ID: id}, kind != "index"
}

// indexPrefix is what the keys of an index begin with.
func indexPrefix(index rows.Index, whose string) string {
	if index.Name == "" {
		return kindPrefix(index.Kind)
	}
	return "index/" + index.Name + "/" + whose
}

// placeKey is the key of one place of a row.
func placeKey(place rows.Place, row rows.Ref) string {
	id := row.ID
	if place.Index == rows.IndexDue {
		id = rowKey(row)
	}
	return indexPrefix(place.Index, place.Whose) + positionKey(place.Index, rows.Position{At: place.At, ID: id})
}

// positionKey is what follows the prefix in the key of an index row.
func positionKey(index rows.Index, at rows.Position) string {
	switch index.Order {
	case rows.OldestFirst:
		return rows.OldestFirstKey(at.At) + at.ID
	case rows.NewestFirst:
		return rows.NewestFirstKey(at.At) + at.ID
	case rows.ByID:
	}
	return at.ID
}
