package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// columns are where an index finds its rows and what it sorts by.
type columns struct{ whose, at string }

// layout is where a kind of row is stored.
type layout struct {
	table   string
	due     bool // Sweep looks here
	indexes map[rows.Index]columns
}

func layouts() map[rows.Kind]layout {
	return map[rows.Kind]layout{
		rows.KindAudit:   {"audit", true, map[rows.Index]columns{rows.IndexGrantAudit: {whose: "of_grant"}}},
		rows.KindClient:  {"clients", true, nil},
		rows.KindCode:    {"codes", true, nil},
		rows.KindConsent: {"consents", true, nil},
		rows.KindCounter: {"counters", true, nil},
		rows.KindFlow:    {"flows", true, map[rows.Index]columns{rows.IndexSessions: {at: "session_until"}}},
		rows.KindGrant: {"grants", true, map[rows.Index]columns{
			rows.IndexGrants:         {at: "created"},
			rows.IndexPersonGrants:   {whose: "of_person", at: "created"},
			rows.IndexClientGrants:   {whose: "of_client", at: "created"},
			rows.IndexLapses:         {at: "lapses"},
			rows.IndexLinkGrants:     {whose: "open_of_link"},
			rows.IndexIdentityGrants: {whose: "open_of_identity"},
		}},
		rows.KindIdentity: {"identities", true, map[rows.Index]columns{
			rows.IndexSubjects: {whose: "open_of_subject"},
			rows.IndexSIDs:     {whose: "open_of_sid"},
		}},
		rows.KindLink: {"links", true, map[rows.Index]columns{
			rows.IndexLinks:      {at: "created"},
			rows.IndexPersonLink: {whose: "live_of_person"},
		}},
		rows.KindMeta: {"meta", false, nil},
		rows.KindRevocation: {"revocations", false, map[rows.Index]columns{
			rows.IndexRevocations: {at: "due_at"},
			rows.IndexPersonKeys:  {whose: "of_person"},
		}},
		rows.KindUsed: {"used", true, nil},
	}
}

// table is a layout with its statements. Those that write take the id, the record and a value for
// each of named.
type table struct {
	layout
	shared                                           bool // see tx.settle
	named                                            []string
	get, lock, insert, update, renew, upsert, remove string
	make, swap, swapRecord                           string // transactions of their own; the last two take, behind the rest, what they replace
}

func tables() map[rows.Kind]*table {
	all := map[rows.Kind]*table{}
	for kind, l := range layouts() {
		t := &table{layout: l}
		for _, c := range l.indexes {
			t.named = append(t.named, c.whose, c.at)
		}
		if l.due {
			t.named = append(t.named, "due")
		}
		slices.Sort(t.named)
		t.named = slices.DeleteFunc(slices.Compact(t.named), func(name string) bool { return name == "" })
		t.write()
		all[kind] = t
	}
	return all
}

func (t *table) write() {
	names := append([]string{"id", "record"}, t.named...)
	var places, sets []string
	for i, name := range names {
		places = append(places, fmt.Sprintf("$%d", i+1))
		if i > 0 {
			sets = append(sets, fmt.Sprintf("%s = $%d", name, i+1))
		}
	}
	t.shared = t.table == "clients"
	if t.table == "grants" {
		sets = append(sets, "changed = pg_current_xact_id()")
	}
	t.get = "select record from " + t.table + " where id = $1"
	t.lock = t.get + " for update"
	t.insert = "insert into " + t.table + " (" + strings.Join(names, ", ") + ") values (" + strings.Join(places, ", ") + ")"
	t.update = "update " + t.table + " set " + strings.Join(sets, ", ") + " where id = $1"
	t.renew = "update " + t.table + " set record = $2 where id = $1" // which touches no index
	t.upsert = t.insert + " on conflict (id) do update set " + strings.Join(sets, ", ")
	t.make = t.insert + " on conflict (id) do nothing"
	t.swap = t.update + fmt.Sprintf(" and record = $%d", len(names)+1)
	t.swapRecord = t.renew + " and record = $3"
	t.remove = "delete from " + t.table + " where id = $1"
}

// arguments are a row's id, record and values of named.
func (t *table) arguments(row rows.Row) []any {
	values := map[string]any{}
	for _, place := range row.Places {
		c := t.indexes[place.Index]
		if place.Index == rows.IndexDue {
			c = columns{at: "due"}
		}
		if c.whose != "" {
			values[c.whose] = []byte(place.Whose)
		}
		if c.at != "" {
			values[c.at] = rows.Nanoseconds(place.At)
		}
	}
	args := []any{[]byte(row.ID), row.Record}
	for _, name := range t.named {
		args = append(args, values[name])
	}
	return args
}

// scan is the statement of a walk through an index, and its arguments.
func (t *table) scan(s rows.Scan) (string, []any) {
	var where []string
	var args []any
	arg := func(value any) string {
		args = append(args, value)
		return fmt.Sprintf("$%d", len(args))
	}
	c := t.indexes[s.Index]
	order := "id"
	if c.whose != "" {
		where = append(where, c.whose+" = "+arg([]byte(s.Whose)))
	}
	if c.at != "" && s.Index.Order == rows.NewestFirst {
		order = c.at + " desc, id"
	} else if c.at != "" {
		order = c.at + ", id"
	}
	if s.After != nil && c.at == "" {
		where = append(where, "id > "+arg([]byte(s.After.ID)))
	} else if s.After != nil { // of the walks by time that go on later all are newest first
		at, id := arg(rows.Nanoseconds(s.After.At)), arg([]byte(s.After.ID))
		where = append(where, fmt.Sprintf("%[1]s <= %[2]s and (%[1]s < %[2]s or id > %[3]s)", c.at, at, id))
	}
	if !s.Until.IsZero() {
		where = append(where, c.at+" <= "+arg(rows.Nanoseconds(s.Until)))
	}
	statement := "select id, record from " + t.table
	if len(where) > 0 {
		statement += " where " + strings.Join(where, " and ")
	}
	return statement + " order by " + order + " limit " + arg(s.Limit), args
}

// dueStatement finds what is due in all tables, the longest overdue first. It takes the time and the limit.
func dueStatement(all map[rows.Kind]*table) string {
	var parts []string
	for _, kind := range rows.Kinds() {
		if t := all[kind]; t.due {
			parts = append(parts, fmt.Sprintf("(select '%s' as kind, id, due from %s where due <= $1 order by due limit $2)", kind, t.table))
		}
	}
	return strings.Join(parts, " union all ") + " order by due limit $2"
}
