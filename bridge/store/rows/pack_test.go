package rows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

// packedRecords are one of each kind that is packed.
func packedRecords() []any {
	return []any{&grantRow{}, &bridge.Code{}, &bridge.Consent{}, &bridge.AuditEvent{}, &client{}, &bridge.Flow{}, &bridge.IdentitySession{}}
}

// filler sets every field of a record to something of its own, so that one that is not packed shows.
type filler struct{ n int }

func (f *filler) fill(t *testing.T, v reflect.Value) {
	t.Helper()
	f.n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 11, 2, 9, 30, f.n, f.n*1001, time.UTC)))
	case v.Type() == reflect.TypeFor[bridge.Hash]():
		v.Set(reflect.ValueOf(bridge.HashOf(fmt.Sprint(f.n))))
	case v.Type() == reflect.TypeFor[bridge.TokenHash]():
		v.Set(reflect.ValueOf(bridge.TokenHashOf(fmt.Sprint(f.n))))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(t, v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f.fill(t, v.Field(i))
		}
	case v.Kind() == reflect.String:
		v.SetString(fmt.Sprint("text-", f.n))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Int:
		v.SetInt(int64(-f.n))
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes(fmt.Append(nil, "bytes-", f.n))
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			f.fill(t, v.Index(i))
		}
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			f.fill(t, key)
			f.fill(t, value)
			v.SetMapIndex(key, value)
		}
	default:
		t.Fatalf("a field of type %s", v.Type())
	}
}

// TestPack_everyField: a record comes back as it went in, each of its fields, and so does an empty one.
func TestPack_everyField(t *testing.T) {
	t.Parallel()
	for _, record := range packedRecords() {
		for _, full := range []bool{false, true} {
			if full {
				(&filler{}).fill(t, reflect.ValueOf(record).Elem())
			}
			packed := pack("", "row", packing(record))
			read := reflect.New(reflect.TypeOf(record).Elem()).Interface()
			if err := unpack("", "row", packed, packing(read)); err != nil {
				t.Fatalf("%T: %v", record, err)
			}
			if diff := cmp.Diff(record, read); diff != "" {
				t.Errorf("%T (-written +read):\n%s", record, diff)
			}
		}
	}
}

// TestPack_values are those with a form of their own.
func TestPack_values(t *testing.T) {
	t.Parallel()
	const id = "abcdefghijklmnopqrstuvwxya"
	at := time.Date(2026, 11, 2, 9, 30, 0, 1, time.UTC)
	for name, grant := range map[string]bridge.Grant{
		"an id that is the row's":      {ID: id},
		"one that is not":              {ID: "bbcdefghijklmnopqrstuvwxya"},
		"one with bits left over":      {ID: "abcdefghijklmnopqrstuvwxyb"},
		"words":                        {Status: bridge.GrantLive, Scopes: bridge.BaselineScopes(), Account: bridge.Account{Role: bridge.RoleAdmin}},
		"a text twice":                 {Person: bridge.Person{Subject: "alice"}, Account: bridge.Account{Username: "alice", Email: "alice"}},
		"times before and far behind":  {CreatedAt: time.Unix(-1, 5).UTC(), LastUsedAt: at, Lapses: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
		"long":                         {ClientName: strings.Repeat("long ", 1000), Credential: bridge.Credential{Sealed: make([]byte, 1000)}},
		"the id of a key":              {Credential: bridge.Credential{KeyID: "AAECAwQFBgcICQoLDA0ODw"}},
		"one with bits left over, too": {Credential: bridge.Credential{KeyID: "AAECAwQFBgcICQoLDA0ODx"}},
		"the name of a key":            {ID: id, Credential: bridge.Credential{KeyName: "trinity-bridge:claude:" + id + "@abcdefgh"}},
		"the id of a person":           {ClientName: bridge.Person{Source: "trinity", Subject: "alice"}.ID()},
		"that of a machine":            {ClientName: bridge.Person{Source: bridge.SourceClient, Subject: "client"}.ID()},
		"nearly that of a person":      {ClientName: "person-" + id[:16], Profile: "person-", Redirect: "Person-" + id, Link: "person-" + id + "a"},
		"times by the millisecond":     {CreatedAt: at.Truncate(time.Millisecond), LastUsedAt: at.Add(time.Second + 7*time.Millisecond).Truncate(time.Millisecond), Lapses: at.AddDate(0, 1, 0)},
		"one time twice":               {CreatedAt: at, LastUsedAt: at.Add(time.Nanosecond), EndedAt: at, Lapses: packedFrom},
		"names within names":           {ClientName: id + id, ClientID: "a" + id, Redirect: id + "b" + id, Profile: "a" + id},
		"more texts than are compared": {Scopes: bridge.AllScopes(), RevokedTokens: manyTokens(3 * repeated), Redirect: "a"},
		"tokens":                       {RevokedTokens: map[string]time.Time{"b": at, "a": at.Add(time.Hour), id: at}},
	} {
		var read grantRow
		if err := unpack("", id, pack("", id, packing(&grantRow{Grant: grant})), packing(&read)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(grant, read.Grant); diff != "" {
			t.Errorf("%s (-written +read):\n%s", name, diff)
		}
	}
}

// TestPack_base: what begins with the base is written without it, and not read without it.
func TestPack_base(t *testing.T) {
	t.Parallel()
	const base = "https://bridge.example.com"
	for text, short := range map[string]bool{
		base: true, base + "/mcp": true, base + base: true, base + ".example.org/": true, "a" + base: false, base[:9]: false,
	} {
		grant := grantRow{Grant: bridge.Grant{Resource: text}}
		packed := pack(base, "row", packing(&grant))
		var read grantRow
		if err := unpack(base, "row", packed, packing(&read)); err != nil || !cmp.Equal(grant, read) {
			t.Errorf("%q was read as %q, %v", text, read.Resource, err)
		}
		if got := len(packed) < len(pack("", "row", packing(&grant))); got != short {
			t.Errorf("%q is written shorter: %t", text, got)
		}
		if err := unpack("", "row", packed, packing(&read)); (err == nil) == short {
			t.Errorf("%q without the base: %v", text, err)
		}
	}
}

func manyTokens(n int) map[string]time.Time {
	tokens := map[string]time.Time{}
	for i := range n {
		tokens[fmt.Sprintf("%04d", i)] = packedFrom.Add(time.Duration(i))
	}
	return tokens
}

// TestDecode_packedOnce: what was written as JSON is read, and what a newer program writes is not.
func TestDecode_packedOnce(t *testing.T) {
	t.Parallel()
	key, _, err := secrettest.Ring().NewRowKey("")
	if err != nil {
		t.Fatal(err)
	}
	row, consent := Ref{KindConsent, "row"}, bridge.Consent{PersonID: "person", Scopes: bridge.AllScopes(), GivenAt: packedFrom}
	value, err := encodeJSON(key, row, &consent)
	if err != nil {
		t.Fatal(err)
	}
	var read bridge.Consent
	if err := Decode(key, row, value, &read); err != nil || !cmp.Equal(consent, read) {
		t.Errorf("%v, %v", read, err)
	}
	unknown := pack("", "row", func(p *packer) {
		packConsent(p, &consent)
		p.flag(63, new(true))
	})
	var newer []byte
	for name, content := range map[string][]byte{"a field that is not known": unknown, "what is behind a record": append(pack("", "row", packing(&consent)), 1)} {
		if newer, err = seal(key, row, packedRecord, content); err != nil {
			t.Fatal(err)
		}
		if err := Decode(key, row, newer, &read); err == nil {
			t.Error(name, "is passed over")
		}
	}
	var count counter
	if err := Decode(key, row, newer, &count); err == nil {
		t.Error("a kind that is never packed was read packed")
	}
}

// FuzzUnpack: whatever comes, it is an error or a record that is written as it was read.
func FuzzUnpack(f *testing.F) {
	for _, record := range packedRecords() {
		f.Add(pack("", "row", packing(record)))
	}
	f.Add(pack("", "row", packing(&grantRow{Grant: bridge.Grant{ID: "row", Status: "live", CreatedAt: packedFrom, RevokedTokens: map[string]time.Time{"a": packedFrom}}})))
	for _, record := range []any{usualGrant(), usualConsent()} {
		f.Add(pack(usualBase, usualGrant().ID, packing(record)))
	}
	for name := range oldKinds() {
		f.Add(oldContent(f, name+".packed"))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		for i, record := range append(packedRecords(), packedRecords()...) {
			read := unpack
			if i%2 == 1 { // there is an odd number of them
				read = unpackOld
			}
			base, id := "", "row"
			if len(packed)%2 == 1 { // as much that is usual as what is not
				base, id = usualBase, usualGrant().ID
			}
			if read(base, id, packed, packing(record)) != nil {
				continue
			}
			again := reflect.New(reflect.TypeOf(record).Elem()).Interface()
			if err := unpack(base, id, pack(base, id, packing(record)), packing(again)); err != nil {
				t.Fatal(err)
			}
			if a, b := asJSON(t, record), asJSON(t, again); !bytes.Equal(a, b) {
				t.Errorf("%s became %s", a, b)
			}
		}
	})
}

func asJSON(t *testing.T, record any) []byte {
	t.Helper()
	document, err := json.Marshal(record)
	if err != nil {
		t.Skip("a year that JSON does not know")
	}
	return document
}

// BenchmarkRecord writes and reads a grant as it is stored, packed and as JSON.
func BenchmarkRecord(b *testing.B) {
	key, _, err := secrettest.Ring().NewRowKey("")
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC)
	grant := &grantRow{Grant: bridge.Grant{
		ID: "abcdefghijklmnopqrstuvwxya", Status: bridge.GrantLive, Person: bridge.Person{Source: bridge.SourceTrinity, Subject: "alice"},
		Account:  bridge.Account{Username: "alice", Email: "alice@example.com", Role: bridge.RoleUser},
		ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser}, ClientID: "bbcdefghijklmnopqrstuvwxya", ClientName: "Example client",
		Resource: "https://bridge.example.com/mcp", Scopes: bridge.BaselineScopes(), Asked: bridge.BaselineScopes(), Refresh: true,
		Credential: bridge.Credential{KeyID: "cbcdefghijklmnopqrstuvwxya", KeyName: "bridge: Example client", Sealed: make([]byte, 53)},
		CreatedAt:  at, LastUsedAt: at.Add(time.Hour), Lapses: at.AddDate(0, 1, 0),
	}}
	row := Ref{KindGrant, grant.ID}
	for name, encode := range map[string]func(bridge.RowKey, Ref, any) ([]byte, error){"packed": Encode, "json": encodeJSON} {
		b.Run(name, func(b *testing.B) {
			var value []byte
			for b.Loop() {
				if value, err = encode(key, row, grant); err != nil {
					b.Fatal(err)
				}
				var read grantRow
				if err := Decode(key, row, value, &read); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(value)), "bytes")
		})
	}
}

// What a record shares with others, its lists above all, is only read when it is written: the race detector watches.
func TestEncode_sharedRecord(t *testing.T) {
	t.Parallel()
	for _, record := range packedRecords() {
		(&filler{}).fill(t, reflect.ValueOf(record).Elem())
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				own := reflect.New(reflect.TypeOf(record).Elem())
				own.Elem().Set(reflect.ValueOf(record).Elem())
				pack("", "id", packing(own.Interface()))
			})
		}
		all.Wait()
	}
}
