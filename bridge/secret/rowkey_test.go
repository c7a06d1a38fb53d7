package secret

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
)

// TestRowKey_vectors are rows that OpenSSL has sealed with AES-256-SIV, under the 64 bytes that HKDF makes of the key.
func TestRowKey_vectors(t *testing.T) {
	t.Parallel()
	key, err := newRowKey(bytes.Repeat([]byte{1}, rowKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ place, row, want string }{
		{"", "", "6accd4a780cdb317fd5f624c8e8e923c"},
		{"grant/1", "a", "44f0675ad0a57943a1b7144cd9c5d53fab"},
		{"grant/1", "sixteen bytes of", "7ed185dd5fe5bd3a82123092bd9ef521e17a1c77b734aff32d1354dcb7fcdc43"},
		{
			"consent/a place of more than one block", "a row that is longer than two blocks of the cipher",
			"8ef30b764fc30f00633f98760ba7a82787fca5775869918e67617494d19d96060e297077ec0c182c8386522f80747133c91b24775e437f98fbc559191febdc52a5a7",
		},
	} {
		if got := hex.EncodeToString(key.Seal(tt.place, []byte(tt.row))); got != tt.want {
			t.Errorf("%q sealed for %q: %s, want %s", tt.row, tt.place, got, tt.want)
		}
		sealed, err := hex.DecodeString(tt.want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := key.Open(tt.place, sealed); err != nil || string(got) != tt.row {
			t.Errorf("opened for %q: %q, %v", tt.place, got, err)
		}
	}
}

// TestRowKey_OpenOld_vectors are the two examples of C2SP's XAES-256-GCM.
func TestRowKey_OpenOld_vectors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key    byte
		place  string
		sealed string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		key, err := newRowKey(bytes.Repeat([]byte{tt.key}, rowKeyBytes))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := hex.DecodeString(tt.sealed)
		if err != nil {
			t.Fatal(err)
		}
		sealed = append([]byte("ABCDEFGHIJKLMNOPQRSTUVWX"), sealed...)
		if got, err := key.OpenOld(tt.place, sealed); err != nil || string(got) != "XAES-256-GCM" {
			t.Errorf("opened for %q: %q, %v", tt.place, got, err)
		}
		wantRefused(t, key.OpenOld, tt.place, sealed)
		if _, err := key.Open(tt.place, sealed); !errors.Is(err, ErrOpen) {
			t.Errorf("opened as it is sealed now: %v", err)
		}
	}
}

// wantRefused wants a sealed row to open for its place and as it is, and not otherwise.
func wantRefused(t *testing.T, open func(string, []byte) ([]byte, error), place string, sealed []byte) {
	t.Helper()
	if _, err := open(place+"2", sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("another place: %v", err)
	}
	if _, err := open(place, append(bytes.Clone(sealed), 0)); !errors.Is(err, ErrOpen) {
		t.Errorf("a byte more: %v", err)
	}
	for at := range sealed {
		if _, err := open(place, sealed[:at]); !errors.Is(err, ErrOpen) {
			t.Errorf("cut at byte %d: %v", at, err)
		}
		for bit := range 8 {
			flipped := bytes.Clone(sealed)
			flipped[at] ^= 1 << bit
			if _, err := open(place, flipped); !errors.Is(err, ErrOpen) {
				t.Errorf("bit %d of byte %d flipped: %v", bit, at, err)
			}
		}
	}
}

func TestRowKey_OP10_opensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	ring, other := testRing(t, 'a'), testRing(t, 'b')
	key, wrapped, err := ring.NewRowKey("")
	if err != nil {
		t.Fatal(err)
	}
	row := []byte("alice@example.com")
	sealed := key.Seal("grant/1", row)
	if bytes.Contains(sealed, row) || bytes.Equal(sealed, key.Seal("grant/2", row)) || len(sealed) != len(row)+16 {
		t.Error("the row shows, or that another one is the same, or it takes more than its tag")
	}
	again, err := ring.OpenRowKey(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Open("grant/1", sealed); err != nil || !bytes.Equal(got, row) {
		t.Errorf("opened: %q, %v", got, err)
	}
	if key.MAC("person", "alice") != again.MAC("person", "alice") || key.MAC("person", "alice") == key.MAC("client", "alice") {
		t.Error("a MAC depends on more or less than key, purpose and value")
	}
	stranger, _, err := ring.NewRowKey("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Open("grant/1", sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("another store's key: %v", err)
	}
	wantRefused(t, key.Open, "grant/1", sealed)
	wantRefused(t, key.Open, "grant/1", key.Seal("grant/1", nil))
	if _, err := key.OpenOld("grant/1", sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("opened as it was sealed before: %v", err)
	}
	if _, err := other.OpenRowKey(wrapped); !errors.Is(err, ErrOpen) {
		t.Errorf("another master secret: %v", err)
	}
	if _, err := ring.OpenRowKey(ring.Seal(bridge.SealedRowKey, "", []byte("short"))); !errors.Is(err, ErrOpen) {
		t.Errorf("a key of another length: %v", err)
	}
}

// TestRowKey_base: the base comes back with the key, and a key is good with its own base only. A key of before has none.
func TestRowKey_base(t *testing.T) {
	t.Parallel()
	ring := testRing(t, 'a')
	const base = "https://bridge.example.com"
	key, wrapped, err := ring.NewRowKey(base)
	if err != nil || key.Base() != base {
		t.Fatalf("a new key has the base %q, %v", key.Base(), err)
	}
	sealed := key.Seal("grant/1", []byte("row"))
	raw, err := ring.Open(bridge.SealedRowKey, "", wrapped)
	if err != nil || len(raw) != rowKeyBytes+len(base) {
		t.Fatalf("%d bytes are wrapped, %v", len(raw), err)
	}
	for name, tt := range map[string]struct {
		base  string
		opens bool
	}{
		"the same": {base, true}, "another": {"https://bridge.example.org", false}, "a part of it": {base[:9], false}, "none, as before": {"", false},
	} {
		again, err := ring.OpenRowKey(ring.Seal(bridge.SealedRowKey, "", append(raw[:rowKeyBytes:rowKeyBytes], tt.base...)))
		if err != nil || again.Base() != tt.base {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := again.Open("grant/1", sealed); (err == nil) != tt.opens {
			t.Errorf("%s: opening a row: %v", name, err)
		}
		if same := again.MAC("person", "alice") == key.MAC("person", "alice"); same != tt.opens {
			t.Errorf("%s: its MACs are the same: %t", name, same)
		}
	}
}

func testRing(t *testing.T, fill byte) *Keyring {
	t.Helper()
	ring, err := NewKeyring(bytes.Repeat([]byte{fill}, MinMasterBytes))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func BenchmarkRowKey(b *testing.B) {
	ring, err := NewKeyring(bytes.Repeat([]byte{'a'}, MinMasterBytes))
	if err != nil {
		b.Fatal(err)
	}
	key, _, err := ring.NewRowKey("")
	if err != nil {
		b.Fatal(err)
	}
	row := make([]byte, 700)
	sealed := key.Seal("grant/1", row)
	b.Run("seal", func(b *testing.B) {
		for b.Loop() {
			key.Seal("grant/1", row)
		}
	})
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			if _, err := key.Open("grant/1", sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("mac", func(b *testing.B) {
		for b.Loop() {
			key.MAC("person", "trinity:alice")
		}
	})
}
