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

// TestKeyring_SealToken_key: a key of the usual form is sealed as its random bytes, and comes back, as does any other
// value and one that was sealed as text.
func TestKeyring_SealToken_key(t *testing.T) {
	t.Parallel()
	const (
		usual   = "trinity_mcp_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
		sealing = 1 + 4 + 12 + 16 // version, secret, nonce, tag
	)
	ring := ring(t, oldMaster)
	for name, tt := range map[string]struct {
		value string
		bytes int
	}{
		"the usual form":                  {usual, 33},
		"bits left over":                  {usual[:len(usual)-1] + "9", 55},
		"a byte less":                     {usual[:len(usual)-2], 53},
		"longer":                          {usual + "AA", 57},
		"a break in it":                   {usual[:20] + "\n" + usual[20:], 56},
		"another prefix":                  {"trinity_xxx_" + usual[12:], 55},
		"a session":                       {"eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", 37},
		"as long as the random bytes are": {strings.Repeat("x", 33), 33},
	} {
		sealed := ring.SealToken("grant key", "g1", secret.New(tt.value))
		if len(sealed) != sealing+tt.bytes {
			t.Errorf("%s: %d bytes sealed, want %d", name, len(sealed), sealing+tt.bytes)
		}
		for how, sealed := range map[string][]byte{"sealed": sealed, "sealed as text": ring.Seal("grant key", "g1", []byte(tt.value))} {
			if got, err := ring.OpenToken("grant key", "g1", sealed); err != nil || got.Reveal() != tt.value {
				t.Errorf("%s, %s: %q, %v", name, how, got.Reveal(), err)
			}
		}
	}
}
