package secret

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
)

// TestRowKey_vectors are the two examples of C2SP's XAES-256-GCM.
func TestRowKey_vectors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key   byte
		place string
		want  string
	}{
		{0x01, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{0x03, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		key, err := newRowKey(bytes.Repeat([]byte{tt.key}, rowKeyBytes))
		if err != nil {
			t.Fatal(err)
		}
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		sealed := key.aead(nonce).Seal(nil, nonce[rowNonce/2:], []byte("XAES-256-GCM"), []byte(tt.place))
		if got := hex.EncodeToString(sealed); got != tt.want {
			t.Errorf("sealed for %q: %s, want %s", tt.place, got, tt.want)
		}
	}
}

func TestRowKey_OP10_opensInItsPlaceOnly(t *testing.T) {
	t.Parallel()
	ring, other := testRing(t, 'a'), testRing(t, 'b')
	key, wrapped, err := ring.NewRowKey()
	if err != nil {
		t.Fatal(err)
	}
	row := []byte("alice@example.com")
	sealed := key.Seal("grant/1", row)
	if bytes.Contains(sealed, row) || bytes.Equal(sealed, key.Seal("grant/1", row)) {
		t.Error("the row shows, or is sealed the same twice")
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
	stranger, _, err := ring.NewRowKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Open("grant/1", sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("another store's key: %v", err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "half a nonce": sealed[:12], "no tag": sealed[:rowNonce], "cut": sealed[:len(sealed)-1],
		"flipped": append(append([]byte{}, sealed[:len(sealed)-1]...), sealed[len(sealed)-1]^1),
	} {
		if _, err := key.Open("grant/1", bad); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := key.Open("grant/2", sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("another place: %v", err)
	}
	if _, err := other.OpenRowKey(wrapped); !errors.Is(err, ErrOpen) {
		t.Errorf("another master secret: %v", err)
	}
	if _, err := ring.OpenRowKey(ring.Seal(bridge.SealedRowKey, "", []byte("short"))); !errors.Is(err, ErrOpen) {
		t.Errorf("a key of another length: %v", err)
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
	key, _, err := ring.NewRowKey()
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
