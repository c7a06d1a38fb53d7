package postgres_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// TestReplicas_TK14_seen: replicas that have all looked at a token before one of them rotates it go by what is stored, not
// by what they have seen: one rotates it, and nobody after the grant has ended.
func TestReplicas_TK14_seen(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	replicas := openThree(t, url)
	c := connect(t, replicas[0])
	look := func(token string) {
		t.Helper()
		for _, s := range replicas {
			_, _, err := s.RefreshGrant(t.Context(), c.refresh(token), time.Now())
			must(t, err)
		}
	}
	const ways = 9 // as often as an answer that was lost is given again, and once
	token := c.token
	for range 5 {
		look(token)
		var rotated, repeated atomic.Int32
		var all sync.WaitGroup
		for way := range ways {
			all.Go(func() {
				rotation, err := replicas[way%len(replicas)].RotateRefresh(t.Context(), c.use(token), time.Now())
				switch {
				case err != nil:
					t.Error(err)
				case rotation.Outcome == bridge.RefreshRotated:
					rotated.Add(1)
				case rotation.Outcome == bridge.RefreshRepeated:
					repeated.Add(1)
				default:
					t.Errorf("it came to %s", rotation.Outcome)
				}
			})
		}
		all.Wait()
		token = successorOf(token)
		_, family, err := replicas[0].RefreshGrant(t.Context(), c.refresh(token), time.Now())
		must(t, err)
		if rotated.Load() != 1 || repeated.Load() != ways-1 || !family.IsHead(c.refresh(token).Hash) || family.Repeats != ways-1 {
			t.Fatalf("rotated %d times and repeated %d times; stored are %d", rotated.Load(), repeated.Load(), family.Repeats)
		}
	}
	look(token)
	_, _, err := replicas[0].EndGrant(t.Context(), c.grantID, bridge.EndRevokedByPerson, time.Now())
	must(t, err)
	for _, s := range replicas {
		rotation, err := s.RotateRefresh(t.Context(), c.use(token), time.Now())
		if must(t, err); rotation.Outcome != bridge.RefreshEnded {
			t.Errorf("it came to %s", rotation.Outcome)
		}
	}
}
