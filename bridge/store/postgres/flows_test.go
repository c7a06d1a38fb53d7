package postgres_test

import (
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// Replicas that have read a flow all change it as it is, not as they read it: nothing is lost, and what is to be
// done once is done once (AZ-44).
func TestReplicas_flows(t *testing.T) {
	t.Parallel()
	url := server.Database(t)
	replicas := openThree(t, url)
	const ways = 30
	for range 5 {
		now := time.Now()
		flow := bridge.Flow{ID: rand.Text(), Step: bridge.StepDecided, Exit: []byte("exit"), CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
		must(t, replicas[0].CreateFlow(t.Context(), flow))
		for _, s := range replicas {
			_, err := s.Flow(t.Context(), flow.ID, now)
			must(t, err)
		}
		errTaken := errors.New("the exit is taken")
		var taken atomic.Int32
		var all sync.WaitGroup
		for way := range ways {
			all.Go(func() {
				s := replicas[way%len(replicas)]
				if _, err := s.UpdateFlow(t.Context(), flow.ID, now, func(f *bridge.Flow) error { f.SignIn.Tries++; return nil }); err != nil {
					t.Error(err)
				}
				_, err := s.UpdateFlow(t.Context(), flow.ID, now, func(f *bridge.Flow) error {
					if f.Step != bridge.StepDecided {
						return errTaken
					}
					f.Step, f.Exit = bridge.StepFinished, nil
					return nil
				})
				if err == nil {
					taken.Add(1)
				} else if !errors.Is(err, errTaken) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		stored, err := replicas[1].Flow(t.Context(), flow.ID, now)
		must(t, err)
		if taken.Load() != 1 || stored.SignIn.Tries != ways {
			t.Errorf("taken %d times, %d of %d changes kept", taken.Load(), stored.SignIn.Tries, ways)
		}
	}
}
