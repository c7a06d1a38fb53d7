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
