package trinity

import (
	"strings"
	"testing"
)

func TestCanonicalMailbox_OT10(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, typed, want string // want "" means refused
	}{
		{"plain", "alice@example.com", "alice@example.com"},
		{"upper case and blanks around", "  Alice@Example.COM\t", "alice@example.com"},
		{"plus tag", "alice+news@example.com", "alice+news@example.com"},
		{"apostrophe", "o'neil@example.com", "o'neil@example.com"},
		{"one label", "alice@intranet", "alice@intranet"},
		{"empty", "", ""},
		{"no at", "alice.example.com", ""},
		{"two ats", "alice@bob@example.com", ""},
		{"two addresses", "alice@example.com,bob@example.com", ""},
		{"list", "alice@example.com; bob@example.com", ""},
		{"display name", "Alice <alice@example.com>", ""},
		{"quoted local part", `"alice"@example.com`, ""},
		{"quoted blank", `"a b"@example.com`, ""},
		{"blank inside", "al ice@example.com", ""},
		{"line feed", "alice@example.com\nbcc: bob@example.com", ""},
		{"carriage return at the end", "alice@example.com\r", ""},
		{"line feed at the end", "alice@example.com\n", ""},
		{"NUL", "alice\x00@example.com", ""},
		{"letters of another script", "аlice@example.com", ""},
		{"Kelvin sign", "\u212Aate@example.com", ""},
		{"full width at", "alice＠example.com", ""},
		{"international domain", "alice@exämple.com", ""},
		{"zero width", "alice\u200B@example.com", ""},
		{"invalid UTF-8", "alice\xff@example.com", ""},
		{"dot first", ".alice@example.com", ""},
		{"dots together", "al..ice@example.com", ""},
		{"no local part", "@example.com", ""},
		{"no domain", "alice@", ""},
		{"domain ends in a dot", "alice@example.com.", ""},
		{"address literal", "alice@[127.0.0.1]", ""},
		{"hyphen first in a label", "alice@-example.com", ""},
		{"local part of 64 bytes", strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com"},
		{"local part of 65 bytes", strings.Repeat("a", 65) + "@example.com", ""},
		{"label of 64 bytes", "alice@" + strings.Repeat("a", 64) + ".com", ""},
		{"255 bytes", "a@" + strings.Repeat("a.", 126) + "a", ""},
		{"ten kilobytes", strings.Repeat("a", 10<<10) + "@example.com", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := canonicalMailbox(tt.typed)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("canonicalMailbox(%q) = %q, %v; want %q", tt.typed, got, ok, tt.want)
			}
		})
	}
}

func TestCountedMailbox_OT11_plusTagIsTheSameMailbox(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"alice+1@example.com": "alice@example.com",
		"alice@example.com":   "alice@example.com",
		"+1@example.com":      "+1@example.com",
	} {
		if got := countedMailbox(typed); got != want {
			t.Errorf("countedMailbox(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestSameMailbox_OT09_foldsASCIIOnly(t *testing.T) {
	t.Parallel()
	for answered, want := range map[string]bool{
		"Kate@Example.com":        true,
		"kate@example.com":        true,
		"\u212Aate@example.com":   false,
		"":                        false,
		"kate@example.com ":       false,
		"mallory@kate@example.co": false,
	} {
		if got := sameMailbox(answered, "kate@example.com"); got != want {
			t.Errorf("sameMailbox(%q) = %v, want %v", answered, got, want)
		}
	}
}
