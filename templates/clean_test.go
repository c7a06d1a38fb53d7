package templates

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// CO-15, AS-052.
func TestCleanName_CO15(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "Claude", "Claude"},
		{"none", "", ""},
		{"other scripts", "Клод クロード كلود", "Клод クロード كلود"},
		{"accents", "Zoe\u0301 Ångström", "Zoe\u0301 Ångström"},
		{"direction", "Clau\u202ede\u2066 \u200fX\u061c", "Claude X"},
		{"zero width", "Cl\u200ba\u200cu\u200dd\u2060e\ufeff", "Claude"},
		{"soft hyphen", "Clau\u00adde", "Claude"},
		{"lines and tabs", " Claude\r\n\t by\u2028 us\u0085\u00a0! ", "Claude by us !"},
		{"controls", "Cl\x00au\x1b[31mde\x7f", "Clau[31mde"},
		{"not UTF-8", "Cl\xffaude\xc0", "Claude"},
		{"combining flood", "e" + strings.Repeat("\u0301", 500) + "!", "e\u0301\u0301!"},
		{"marks on nothing", "\u0301\u0301Claude \u0301x", "Claude x"},
		{"selectors", "\u2714\ufe0fClaude", "✔Claude"},
		{"fillers", "\u3164\u115f\uffa0\u2800\u034fClaude", "Claude"},
		{"tags", "Claude\U000e0067\U000e007f", "Claude"},
		{"private use", "Claude\ue000\U000f0000", "Claude"},
		{"only invisible", "\u200b\u202e\u3164 ", ""},
		{"quotes of ours", "a” b “c", `a" b "c`},
		{"CO-14/markup stays text", `"><img onerror=x>`, `"><img onerror=x>`},
		{"80", strings.Repeat("x", 80), strings.Repeat("x", 80)},
		{"81", strings.Repeat("x", 81), strings.Repeat("x", 79) + "…"},
		{"5000", strings.Repeat("é", 5000), strings.Repeat("é", 79) + "…"},
		{"marks count with their letter", strings.Repeat("e\u0301", 80), strings.Repeat("e\u0301", 80)},
		{"cut between letters", strings.Repeat("e\u0301", 81), strings.Repeat("e\u0301", 79) + "…"},
		{"no blank before the cut", strings.Repeat("x", 78) + " yyy", strings.Repeat("x", 78) + "…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := CleanName(tt.in); got != tt.want {
				t.Errorf("CleanName(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzCleanName(f *testing.F) {
	for _, seed := range append(hostile, "", "Claude", "e\u0301\u0301\u0301", strings.Repeat("x ", 100)) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := CleanName(name)
		if again := CleanName(got); again != got {
			t.Errorf("cleaning twice: %q, then %q", got, again)
		}
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > maxNameLetters*(1+maxMarks) {
			t.Errorf("%q", got)
		}
		for _, r := range got {
			if r != ' ' && (unicode.IsSpace(r) || !unicode.IsGraphic(r)) || unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("%q keeps %U", got, r)
			}
		}
	})
}

// CO-16.
func TestASCIIHost_CO16(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"claude.ai", "claude.ai"},
		{"Claude.AI:8443", "claude.ai:8443"},
		{"[::1]:3118", "[::1]:3118"},
		{"сlaude.ai", "%D1%81laude.ai"},
		{"cla\u202eude.ai", "claude.ai"},
		{"", ""},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			if got := asciiHost(tt.in); got != tt.want {
				t.Errorf("asciiHost(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzASCIIHost(f *testing.F) {
	for _, seed := range []string{"claude.ai", "сlaude.ai:1", "[::1]", "\xff.\u0301", "🏴.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		for _, r := range asciiHost(host) {
			if r > unicode.MaxASCII || unicode.IsControl(r) {
				t.Errorf("asciiHost(%q) keeps %U", host, r)
			}
		}
	})
}
