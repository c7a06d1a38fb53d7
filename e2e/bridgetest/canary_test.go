package bridgetest

import "testing"

func TestFind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		output, value string
		want          bool
	}{
		{"code 123456 sent", "123456", true},
		{`"code":"123456"`, "123456", true},
		{"123456", "123456", true},
		{"08.721234560Z", "123456", false},
		{"08.123456Z", "123456", false},
		{"1234567", "123456", false},
		{"0123456 and 123456", "123456", true},
		{"a tbr_abc b", "tbr_abc", true},
		{"xtbr_abcx", "tbr_abc", true},
		{"nothing", "tbr_abc", false},
	}
	for _, tt := range tests {
		if got := find(tt.output, tt.value) >= 0; got != tt.want {
			t.Errorf("find(%q, %q) = %v, want %v", tt.output, tt.value, got, tt.want)
		}
	}
}
