package token_test

import (
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

func TestRefreshPolicy_Decide(t *testing.T) {
	t.Parallel()
	head, previous, older := bridge.TokenHashOf("head"), bridge.TokenHashOf("previous"), bridge.TokenHashOf("older")
	family := bridge.Family{
		Head: head, Previous: previous, RotatedAt: start,
		IdleUntil: start.Add(24 * time.Hour), EndsAt: start.Add(48 * time.Hour),
	}
	fresh := family
	fresh.Previous, fresh.RotatedAt = bridge.TokenHash{}, time.Time{}
	tests := []struct {
		id        string
		family    bridge.Family
		repeats   int
		presented bridge.TokenHash
		after     time.Duration
		want      bridge.RefreshOutcome
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
		{"I12/no token", fresh, 0, bridge.TokenHash{}, time.Second, bridge.RefreshUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			tt.family.Repeats = tt.repeats
			if got := token.DefaultRefreshPolicy().Decide(tt.family, tt.presented, start.Add(tt.after)); got != tt.want {
				t.Errorf("Decide = %s, want %s", got, tt.want)
			}
		})
	}
}
