package rows

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	strictjson "github.com/go-json-experiment/json"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
)

// oldKinds are the records that testdata/old has as JSON and as they were packed before, both written by the program of
// then: one of each kind that was packed, with all the fields it had, in the row "row".
func oldKinds() map[string]any {
	return map[string]any{
		"grant": &grantRow{}, "code": &bridge.Code{}, "consent": &bridge.Consent{}, "audit": &bridge.AuditEvent{},
		"client": &client{}, "flow": &bridge.Flow{}, "identity": &bridge.IdentitySession{},
	}
}

func oldContent(t testing.TB, file string) []byte {
	t.Helper()
	return content(t, filepath.Join("old", file))
}

func content(t testing.TB, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestUnpack_stored: what is packed stays readable, whatever becomes usual later, and what was packed or written as JSON
// before is. testdata/packed has the records of testdata/old as they are packed today, and two as there are most.
func TestUnpack_stored(t *testing.T) {
	t.Parallel()
	for name, record := range oldKinds() {
		wantStored(t, filepath.Join("old", name), record, func(packed []byte, fields func(*packer)) error { return unpackOld("", "row", packed, fields) })
	}
	today := oldKinds()
	today["usual-grant"], today["usual-consent"] = &grantRow{}, &bridge.Consent{}
	for name, record := range today {
		wantStored(t, filepath.Join("packed", name), record, func(packed []byte, fields func(*packer)) error {
			return unpack(usualBase, usualGrant().ID, packed, fields)
		})
	}
}

// wantStored wants a packed record to say what the same record says as JSON, and still when it is written anew.
func wantStored(t *testing.T, name string, packed any, read func([]byte, func(*packer)) error) {
	t.Helper()
	fresh := func() any { return reflect.New(reflect.TypeOf(packed).Elem()).Interface() }
	if err := read(content(t, name+".packed"), packing(packed)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if cmp.Equal(packed, fresh()) {
		t.Errorf("%s says nothing", name)
	}
	document := fresh()
	if err := strictjson.Unmarshal(content(t, name+".json"), document); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if diff := cmp.Diff(document, packed); diff != "" {
		t.Errorf("%s (-JSON +packed):\n%s", name, diff)
	}
	again := fresh()
	if err := unpack(usualBase, usualGrant().ID, pack(usualBase, usualGrant().ID, packing(packed)), packing(again)); err != nil || !cmp.Equal(packed, again) {
		t.Errorf("%s, written anew: %v\n%s", name, err, cmp.Diff(packed, again))
	}
}

// TestUnpack_dropped: of a grant that was refreshed by a program which stored the successor sealed, and the hash of the token
// before, these two are passed over. What is written has them no more.
func TestUnpack_dropped(t *testing.T) {
	t.Parallel()
	var packed, document grantRow
	stored := content(t, filepath.Join("packed", "refreshed-grant.packed"))
	if err := unpack(usualBase, usualGrant().ID, stored, packing(&packed)); err != nil {
		t.Fatal(err)
	}
	if err := strictjson.Unmarshal(content(t, filepath.Join("packed", "refreshed-grant.json")), &document); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]*grantRow{"packed": &packed, "JSON": &document} {
		if diff := cmp.Diff(refreshedGrant(), read); diff != "" {
			t.Errorf("%s (-refreshed today +read):\n%s", name, diff)
		}
	}
	const dropped = 2 + 16 + 1 + 48 // the numbers of the fields, a hash, a length, what was sealed
	if again := pack(usualBase, usualGrant().ID, packing(&packed)); len(again) != len(stored)-dropped {
		t.Errorf("%d bytes are written anew as %d", len(stored), len(again))
	}
}

// TestUnpackOld_unknown: a field that was not known, or less than a whole record, is an error.
func TestUnpackOld_unknown(t *testing.T) {
	t.Parallel()
	whole := oldContent(t, "grant.packed")
	for name, content := range map[string][]byte{
		"a field more":  append(whole[:len(whole):len(whole)], 63),
		"cut":           whole[:len(whole)-1],
		"a field again": append(whole[:len(whole):len(whole)], whole...),
	} {
		if err := unpackOld("", "row", content, packing(&grantRow{})); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
	if err := unpack("", "row", whole, packing(&grantRow{})); err == nil {
		t.Error("it was read as what is written today")
	}
	if err := unpackOld("", "row", whole, packing(&counter{})); err == nil {
		t.Error("a kind that is never packed was read packed")
	}
}
