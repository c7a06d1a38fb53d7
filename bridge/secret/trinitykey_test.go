package secret_test

import (
	"strings"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/secret"
)

func TestParseTrinityKey(t *testing.T) {
	t.Parallel()
	const good = "trinity_mcp_abcdefghijklmnopqrstuvwx"
	if key, err := secret.ParseTrinityKey(good); err != nil || key.Reveal() != good {
		t.Errorf("a good key: %v", err)
	}
	for _, text := range []string{"", "trinity_mcp_", "trinity_mcp_short", good + "\n", " " + good, good + "!", "x" + good, good + strings.Repeat("a", 9<<10)} {
		if _, err := secret.ParseTrinityKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) && text != "trinity_mcp_" {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

const usualKey = "trinity_mcp_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// TestKeyring_SealToken_key: a key of the usual form is sealed as its random bytes, and comes back, as does any other
// value and one that was sealed as text.
func TestKeyring_SealToken_key(t *testing.T) {
	t.Parallel()
	const sealing = 1 + 4 + 16 // version, secret, tag
	ring, after := ring(t, oldMaster), ring(t, newMaster, oldMaster)
	for name, tt := range map[string]struct {
		value string
		bytes int
	}{
		"the usual form":                  {usualKey, 32},
		"bits left over":                  {usualKey[:len(usualKey)-1] + "9", 55},
		"a byte less":                     {usualKey[:len(usualKey)-2], 53},
		"longer":                          {usualKey + "AA", 57},
		"a break in it":                   {usualKey[:20] + "\n" + usualKey[20:], 56},
		"another prefix":                  {"trinity_xxx_" + usualKey[12:], 55},
		"a session":                       {"eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", 37},
		"as long as the random bytes are": {strings.Repeat("x", 32), 32},
	} {
		sealed := ring.SealToken("grant key", "g1", secret.New(tt.value))
		if len(sealed) != sealing+tt.bytes {
			t.Errorf("%s: %d bytes sealed, want %d", name, len(sealed), sealing+tt.bytes)
		}
		anew, err := after.Reseal("grant key", "g1", sealed)
		if err != nil || len(anew) != len(sealed) {
			t.Errorf("%s: %d bytes sealed anew, %v", name, len(anew), err)
		}
		for how, sealed := range map[string][]byte{"sealed": sealed, "sealed anew": anew, "sealed as text": ring.Seal("grant key", "g1", []byte(tt.value))} {
			if got, err := after.OpenToken("grant key", "g1", sealed); err != nil || got.Reveal() != tt.value {
				t.Errorf("%s, %s: %q, %v", name, how, got.Reveal(), err)
			}
		}
	}
}
