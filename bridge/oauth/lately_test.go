package oauth

import (
	"strconv"
	"testing"
	"time"
)

// TestLately_TK21_oneSecond: a good word stands for a second, for its grant alone, and not on a clock that was set back.
func TestLately_TK21_oneSecond(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	var l lately
	l.add("a", start)
	for _, tt := range []struct {
		grant string
		after time.Duration
		want  bool
	}{
		{"a", 0, true},
		{"a", goodFor - 1, true},
		{"a", goodFor, false},
		{"a", -1, false},
		{"b", 0, false},
	} {
		if got := l.has(tt.grant, start.Add(tt.after)); got != tt.want {
			t.Errorf("%s after %s: %t", tt.grant, tt.after, got)
		}
	}
	l.add("b", start.Add(goodFor-1))
	if l.has("b", start.Add(goodFor)) {
		t.Error("a word outlives the second it was given in")
	}
	for i := range 3 * mostGood {
		l.add(strconv.Itoa(i), start)
	}
	if len(l.good) > mostGood {
		t.Errorf("%d grants are remembered", len(l.good))
	}
}
