package token_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// OP-21, RS-23, AS-017: three planned rotations, minute by minute, over the real store. At every minute,
// for the running signer and for one that was started just now, every token that has not expired is
// good, the JWKS holds its key and a next one, and a key that signs has been published for as long as
// a cache may keep the JWKS.
func TestSigner_OP21_rotation(t *testing.T) {
	t.Parallel()
	for _, algorithm := range bridge.SigningAlgorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, openBadger(t))
			running := d.open(t, signs(algorithm))
			rotations := map[int]bool{1: true, 7: true, 100: true} // the first two while the next key is young
			seen := map[string]time.Time{}                         // since when a kid is published
			_, ids := published(t, running)
			for _, id := range ids {
				seen[id] = start.Add(-time.Hour) // at the first start there is no cache yet
			}
			var minted []secret.Token
			signed := map[string]bool{}
			for minute := range 240 {
				if rotations[minute] {
					if err := running.Rotate(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				restarted := d.open(t, signs(algorithm))
				for _, signer := range []*token.Signer{running, restarted} {
					if err := signer.Settle(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if !bytes.Equal(running.JWKS(), restarted.JWKS()) {
					t.Fatalf("minute %d: the restarted signer publishes %s, the running one %s", minute, restarted.JWKS(), running.JWKS())
				}
				set, ids := published(t, running)
				if len(ids) < 2 {
					t.Fatalf("AS-017: minute %d: the JWKS has %v, want the current and a next key", minute, ids)
				}
				for _, id := range ids {
					if _, ok := seen[id]; !ok {
						seen[id] = d.Now()
					}
				}
				for _, signer := range []*token.Signer{running, restarted} {
					fresh := mint(t, signer)
					signed[kid(t, fresh)] = true
					if since := d.Now().Sub(seen[kid(t, fresh)]); since < 5*time.Minute {
						t.Fatalf("minute %d: %s signs, published for %s", minute, kid(t, fresh), since)
					}
					minted = append(minted, fresh)
				}
				oldest := max(0, len(minted)-120) // of those that live; any between the two is like one of them
				for _, one := range []secret.Token{minted[oldest], minted[len(minted)-1]} {
					if set[kid(t, one)] == nil {
						t.Fatalf("minute %d: the key of a live token has left the JWKS", minute)
					}
					check(t, running, one, true)
					check(t, restarted, one, true)
				}
				d.Advance(time.Minute)
			}
			if len(signed) != 4 {
				t.Errorf("%d keys have signed, want four", len(signed))
			}
			if _, ids := published(t, running); len(ids) != 2 {
				t.Errorf("at the end the JWKS has %v, want the old keys gone", ids)
			}
			if diff := cmp.Diff(slices.Repeat([]string{"signing_keys_rotated command"}, 3), d.audited()); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
			d.Advance(token.KeptRetired)
			if err := running.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if list, _ := d.stored(t); len(list) != 2 {
				t.Errorf("%d keys are stored a day later, want two", len(list))
			}
			if diff := cmp.Diff(slices.Repeat([]string{"signing_key_dropped retired"}, 3), d.audited()); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
		})
	}
}

// A key goes through its phases at the very moments that are told; a restart in any of them changes nothing.
func TestSigner_OP21_phases(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, openBadger(t))
	signer := d.open(t, policy(nil))
	old := mint(t, signer)
	steps := []struct {
		name   string
		after  time.Duration
		rotate error // of a rotation asked for at the end of the step
		try    bool
		want   []token.KeyPhase
	}{
		{name: "first start", want: []token.KeyPhase{token.KeySigning, token.KeyNext}, try: true},
		{name: "called too young", want: []token.KeyPhase{token.KeySigning, token.KeyNext}, try: true, rotate: token.ErrRotating},
		{name: "a second before", after: token.PublishedAhead - time.Second, want: []token.KeyPhase{token.KeySigning, token.KeyNext}},
		{name: "takeover", after: time.Second, want: []token.KeyPhase{token.KeyVerifying, token.KeySigning, token.KeyNext}},
		{
			name: "the last token's last second", after: time.Hour + bridge.Leeway - time.Second,
			want: []token.KeyPhase{token.KeyVerifying, token.KeySigning, token.KeyNext},
		},
		{name: "retirement", after: time.Second, want: []token.KeyPhase{token.KeyRetired, token.KeySigning, token.KeyNext}},
		{
			name: "kept for the operator", after: token.KeptRetired - time.Second,
			want: []token.KeyPhase{token.KeyRetired, token.KeySigning, token.KeyNext}, try: true,
		},
		{
			name: "dropped, and rotated at once", after: time.Second,
			want: []token.KeyPhase{token.KeyVerifying, token.KeySigning, token.KeyNext},
		},
	}
	for _, step := range steps {
		d.Advance(step.after)
		if err := signer.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, rev := d.stored(t)
		restarted := d.open(t, policy(nil))
		if after, now := d.stored(t); now != rev || cmp.Diff(before, after) != "" {
			t.Errorf("%s: the restart changed the keys", step.name)
		}
		for _, s := range []*token.Signer{signer, restarted} {
			if diff := cmp.Diff(step.want, phases(t, s)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, diff)
			}
			if set, _ := published(t, s); set[kid(t, mint(t, s))] == nil {
				t.Errorf("AS-017: %s: the key that signs is not published", step.name)
			}
		}
		if _, err := restarted.Check(old, resource); (err == nil) != d.Now().Before(start.Add(time.Hour)) {
			t.Errorf("%s: the first token: %v", step.name, err)
		}
		if step.try {
			if err := signer.Rotate(t.Context()); !errors.Is(err, step.rotate) {
				t.Errorf("%s: Rotate = %v, want %v", step.name, err, step.rotate)
			}
		}
	}
}

// Keys that leave at different times leave one by one, though nobody reads the store meanwhile.
func TestSigner_OP21_departures(t *testing.T) {
	t.Parallel()
	store := &keys{}
	d := newDeployment(t, store)
	signer := d.open(t, policy(nil))
	for range 3 {
		d.Advance(10 * time.Minute)
		if err := signer.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	reads := store.read()
	list, _ := d.stored(t)
	for i, want := range []int{4, 3, 2} {
		d.Advance(list[i].RetiresAt.Sub(d.Now()) - time.Second)
		if set, ids := published(t, signer); len(ids) != want+1 || set[list[i].ID] == nil {
			t.Errorf("a second before key %d leaves: %v", i, ids)
		}
		d.Advance(time.Second)
		if set, ids := published(t, signer); len(ids) != want || set[list[i].ID] != nil {
			t.Errorf("when key %d leaves: %v", i, ids)
		}
	}
	if store.read() != reads+1 { // the one of this test
		t.Error("the store was read")
	}
}

// A leak: what the old keys signed is dead at once, their private parts are gone, and new tokens are good at once.
func TestSigner_RotateNow(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, openBadger(t))
	signer := d.open(t, policy(nil))
	old := mint(t, signer)
	d.Advance(time.Hour / 2)
	if err := signer.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	newer := mint(t, signer)
	before, oldIDs := published(t, signer)
	revision := signer.Revision()
	d.audited()
	if err := signer.RotateNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, signer, old, false)
	check(t, signer, newer, false)
	check(t, signer, mint(t, signer), true)
	after, ids := published(t, signer)
	if len(before) != 3 || len(ids) != 2 || slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(oldIDs, id) }) {
		t.Errorf("published %v before and %v after", oldIDs, ids)
	}
	if list, _ := d.stored(t); len(list) != 2 || after[list[0].ID] == nil {
		t.Errorf("%d keys are stored, want the two new ones", len(list))
	}
	if signer.Revision() == revision {
		t.Error("the revision is the same: who remembers a token would go on believing it")
	}
	if diff := cmp.Diff([]string{"signing_keys_rotated emergency"}, d.audited()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	restarted := d.open(t, policy(nil))
	check(t, restarted, old, false)
	check(t, restarted, mint(t, signer), true)
}

func TestSigner_schedule(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := []struct {
		id    string
		every time.Duration
		after time.Duration
		want  []string
	}{
		{"a second early", 90 * day, 90*day - time.Second, nil},
		{"due", 90 * day, 90 * day, []string{"signing_keys_rotated scheduled"}},
		{"long overdue", day, 400 * day, []string{"signing_keys_rotated scheduled"}},
		{"off", 0, 4000 * day, nil},
	}
	for _, tt := range tests {
		for _, restarted := range []bool{false, true} {
			t.Run(tt.id, func(t *testing.T) {
				t.Parallel()
				d := newDeployment(t, &keys{})
				p := policy(func(p *token.KeyPolicy) { p.Every = tt.every })
				signer := d.open(t, p)
				old := kid(t, mint(t, signer))
				d.Advance(tt.after)
				if restarted {
					signer = d.open(t, p)
				} else if err := signer.Settle(t.Context()); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, d.audited()); diff != "" {
					t.Errorf("audit (-want +got):\n%s", diff)
				}
				if changed := kid(t, mint(t, signer)) != old; changed != (tt.want != nil) {
					t.Errorf("another key signs: %v", changed)
				}
			})
		}
	}
}

// Run rotates by itself, tick by tick.
func TestSigner_Run(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDeployment(t, &keys{})
		signer, err := d.tryOpen(t, policy(func(p *token.KeyPolicy) { p.Every = 24 * time.Hour }), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		first := kid(t, mint(t, signer))
		go signer.Run(t.Context())
		time.Sleep(24*time.Hour - time.Second)
		if kid(t, mint(t, signer)) != first {
			t.Error("it rotated early")
		}
		time.Sleep(11 * time.Second)
		second := kid(t, mint(t, signer))
		time.Sleep(24 * time.Hour)
		if third := kid(t, mint(t, signer)); first == second || second == third {
			t.Errorf("keys of three days: %s, %s, %s", first, second, third)
		}
	})
}

// A changed signing_algorithm is a planned rotation at the next start, whatever was going on; each
// token stays good, and the replica that still has the old setting does not turn it back.
func TestOpenSigner_algorithmChanged(t *testing.T) {
	t.Parallel()
	for _, prepare := range []struct {
		name string
		do   func(*testing.T, *deployment, *token.Signer)
	}{
		{"in peace", func(*testing.T, *deployment, *token.Signer) {}},
		{"while another rotation is under way", func(t *testing.T, _ *deployment, s *token.Signer) {
			if err := s.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(prepare.name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, &keys{})
			before := d.open(t, signs(bridge.SignES256))
			prepare.do(t, d, before)
			d.Advance(time.Minute)
			d.audited()
			old := mint(t, before)
			after := d.open(t, signs(bridge.SignEdDSA))
			if diff := cmp.Diff([]string{"signing_keys_rotated algorithm_changed"}, d.audited()); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
			again := d.open(t, signs(bridge.SignEdDSA))
			for range 70 {
				d.Advance(10 * time.Second)
				for _, s := range []*token.Signer{before, after, again} {
					if err := s.Settle(t.Context()); err != nil {
						t.Fatal(err)
					}
					check(t, s, old, true)
					check(t, s, mint(t, after), true)
				}
			}
			if got := d.audited(); got != nil {
				t.Errorf("there were more rotations: %v", got)
			}
			set, ids := published(t, before)
			if got := set[kid(t, mint(t, before))]["alg"]; got != bridge.SignEdDSA || len(ids) < 3 {
				t.Errorf("%v signs, of %v", got, ids)
			}
		})
	}
	t.Run("a new store begins with the algorithm", func(t *testing.T) {
		t.Parallel()
		signer := newDeployment(t, &keys{}).open(t, signs(bridge.SignRS256))
		if set, _ := published(t, signer); set[kid(t, mint(t, signer))]["alg"] != bridge.SignRS256 {
			t.Errorf("the JWKS is %v", set)
		}
	})
}

// The life of tokens may change between starts: no key retires before the last token it may have signed.
func TestSigner_OP21_tokenLife(t *testing.T) {
	t.Parallel()
	lives := func(life time.Duration) token.KeyPolicy {
		return policy(func(p *token.KeyPolicy) { p.TokenLife = life })
	}
	tests := []struct {
		id     string
		before time.Duration
		rotate bool // before the restart
		after  time.Duration
		want   time.Duration // from takeover to retirement
	}{
		{"as it was", time.Hour, false, time.Hour, time.Hour},
		{"longer from now on", time.Hour, false, 8 * time.Hour, 8 * time.Hour},
		{"shorter from now on", 8 * time.Hour, false, time.Hour, 8 * time.Hour},
		{"longer in the middle of a rotation", time.Hour, true, 8 * time.Hour, 8 * time.Hour},
		{"shorter in the middle of a rotation", 8 * time.Hour, true, time.Hour, 8 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, &keys{})
			signer := d.open(t, lives(tt.before))
			if tt.rotate {
				if err := signer.Rotate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			signer = d.open(t, lives(tt.after))
			if !tt.rotate {
				if err := signer.Rotate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			list, _ := d.stored(t)
			if got := list[0].RetiresAt.Sub(list[1].SignsFrom); got != tt.want+bridge.Leeway {
				t.Errorf("the old key stays for %s, want %s", got, tt.want+bridge.Leeway)
			}
		})
	}
	t.Run("unknown is the longest there is", func(t *testing.T) {
		t.Parallel()
		store := &keys{}
		d := newDeployment(t, store)
		d.open(t, policy(nil))
		store.list[0].TokenSeconds = 0
		if err := d.open(t, policy(nil)).Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := store.list[0].RetiresAt.Sub(store.list[1].SignsFrom); got != 24*time.Hour+bridge.Leeway {
			t.Errorf("the old key stays for %s", got)
		}
	})
}

// Minting and checking go on, without a lock, while keys are rotated; -race looks on.
func TestSigner_OP21_underLoad(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, openBadger(t))
	const life = 24 * time.Hour // longer than all the rotations take by the clock
	signer := d.open(t, policy(func(p *token.KeyPolicy) { p.TokenLife = life }))
	done := make(chan struct{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				minted, _, err := signer.Mint(grant, bridge.BaselineScopes(), bridge.Hash{}, life)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := signer.Check(minted, resource); err != nil {
					t.Error(err)
					return
				}
				signer.JWKS()
			}
		})
	}
	for range 20 {
		d.Advance(token.PublishedAhead)
		if err := signer.Rotate(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	callers.Wait()
}
