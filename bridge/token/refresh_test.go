package token_test

import (
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

func TestRefreshPolicy_Decide(t *testing.T) {
	t.Parallel()
	// Tokens of a family, in order, and what a use says that presents one.
	hashes := map[string]bridge.TokenHash{"": {}}
	for _, name := range []string{"older", "previous", "head", "next", "invented", "after an invented one"} {
		hashes[name] = bridge.TokenHashOf(name)
	}
	present := func(name, successor string) bridge.RefreshUse {
		return bridge.RefreshUse{Token: bridge.RefreshToken{Hash: hashes[name]}, Successor: hashes[successor]}
	}
	head, previous, older := present("head", "next"), present("previous", "head"), present("older", "previous")
	family := bridge.Family{
		Head: hashes["head"], RotatedAt: start,
		IdleUntil: start.Add(24 * time.Hour), EndsAt: start.Add(48 * time.Hour),
	}
	fresh, none, ended := family, family, family
	fresh.RotatedAt, none.Head, ended.EndsAt = time.Time{}, bridge.TokenHash{}, start.Add(time.Second)
	tests := []struct {
		id      string
		family  bridge.Family
		repeats int
		use     bridge.RefreshUse
		after   time.Duration
		want    bridge.RefreshOutcome
	}{
		{"AS-089/head", family, 0, head, time.Second, bridge.RefreshRotated},
		{"AS-089/first token", fresh, 0, head, time.Second, bridge.RefreshRotated},
		{"TK-15/predecessor at once", family, 0, previous, 0, bridge.RefreshRepeated},
		{"TK-15/after 59 s", family, 0, previous, 59 * time.Second, bridge.RefreshRepeated},
		{"TK-14/tenth time", family, 9, previous, time.Second, bridge.RefreshRepeated},
		{"TK-14/eleventh time", family, 10, previous, time.Second, bridge.RefreshReused},
		{"TK-16/after 60 s", family, 0, previous, 60 * time.Second, bridge.RefreshReused},
		{"TK-17/predecessor's predecessor", family, 0, older, time.Second, bridge.RefreshReused},
		{"TK-23/idle", family, 0, head, 24 * time.Hour, bridge.RefreshExpired},
		{"TK-23/a second before idle", family, 0, head, 24*time.Hour - time.Second, bridge.RefreshRotated},
		{"TK-23/absolute", family, 0, head, 48 * time.Hour, bridge.RefreshExpired},
		{"TK-23/predecessor, absolute", ended, 0, previous, time.Second, bridge.RefreshExpired},
		{"TK-17/older, at once", family, 0, older, 0, bridge.RefreshReused},
		{"TK-17/one that was made up", family, 0, present("invented", "after an invented one"), 0, bridge.RefreshReused},
		{"TK-17/predecessor, the head made with another key", family, 0, present("previous", "after an invented one"), 0, bridge.RefreshReused},
		{"TK-17/what leads to the first token", fresh, 0, previous, 0, bridge.RefreshReused},
		{"I12/no token", fresh, 0, present("", "head"), time.Second, bridge.RefreshUnknown},
		{"I12/no token and no head", none, 0, present("", "next"), time.Second, bridge.RefreshUnknown},
		{"I12/head without a successor", family, 0, present("head", ""), time.Second, bridge.RefreshUnknown},
		{"I12/predecessor without a successor", family, 0, present("previous", ""), time.Second, bridge.RefreshUnknown},
		{"I12/no head", none, 0, previous, time.Second, bridge.RefreshReused},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			tt.family.Repeats = tt.repeats
			if got := token.DefaultRefreshPolicy().Decide(tt.family, tt.use, start.Add(tt.after)); got != tt.want {
				t.Errorf("Decide = %s, want %s", got, tt.want)
			}
		})
	}
}
