package token_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
)

// A store that takes no writes: what is there signs on, and what was due is done when it can be.
func TestOpenSigner_readOnly(t *testing.T) {
	t.Parallel()
	store := &keys{refusal: bridge.ErrReadOnly}
	d := newDeployment(t, store)
	if _, err := d.tryOpen(t, policy(nil), d.Now); !errors.Is(err, bridge.ErrReadOnly) {
		t.Fatalf("without any key: %v", err)
	}
	store.refusal = nil
	old := mint(t, d.open(t, policy(nil)))
	d.Advance(10 * time.Minute)
	store.refusal = bridge.ErrReadOnly
	signer := d.open(t, signs(bridge.SignEdDSA))
	check(t, signer, old, true)
	check(t, signer, mint(t, signer), true)
	if err := signer.Settle(t.Context()); !errors.Is(err, bridge.ErrReadOnly) {
		t.Errorf("Settle = %v", err)
	}
	if err := signer.RotateNow(t.Context()); !errors.Is(err, bridge.ErrReadOnly) {
		t.Errorf("RotateNow = %v", err)
	}
	check(t, signer, old, true)
	store.refusal = nil
	if err := signer.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"signing_keys_rotated algorithm_changed"}, d.audited()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

// OP-23: keys that cannot be opened are an error at the start, and nothing is changed.
func TestOpenSigner_OP23_keyLost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id   string
		lose func(*deployment, *testing.T, []bridge.SigningKey)
		want string
	}{
		{"another secret", func(d *deployment, t *testing.T, _ []bridge.SigningKey) { d.ring = ring(t, "another-master-") }, "cannot be opened"},
		{"damaged", func(_ *deployment, _ *testing.T, l []bridge.SigningKey) { l[0].Private[20] ^= 1 }, "cannot be opened"},
		{"next key damaged", func(_ *deployment, _ *testing.T, l []bridge.SigningKey) { l[1].Private[20] ^= 1 }, "cannot be opened"},
		{"emptied", func(_ *deployment, _ *testing.T, l []bridge.SigningKey) { l[0].Private = nil }, "cannot be opened"},
		{"two exchanged", func(_ *deployment, _ *testing.T, l []bridge.SigningKey) {
			l[0].Private, l[1].Private = l[1].Private, l[0].Private
		}, "cannot be opened"},
		{"another algorithm beside it", func(_ *deployment, _ *testing.T, l []bridge.SigningKey) { l[0].Algorithm = bridge.SignRS256 }, "is no key for"},
		{"a short RSA key", func(d *deployment, t *testing.T, l []bridge.SigningKey) {
			short := must(rsa.GenerateKey(rand.Reader, 1024))
			l[0].Algorithm, l[0].Private = bridge.SignRS256, d.ring.Seal("signing key", l[0].ID, pkcs8(t, short))
		}, "is no key for"},
		{"no algorithm", func(_ *deployment, _ *testing.T, l []bridge.SigningKey) { l[0].Algorithm = "" }, "is no key for"},
		{"retired without a successor", func(_ *deployment, _ *testing.T, l []bridge.SigningKey) {
			l[0].RetiresAt = start.Add(time.Hour)
		}, "no signing key is in force"},
		{"only one that waits", func(_ *deployment, _ *testing.T, l []bridge.SigningKey) { l[0].SignsFrom = time.Time{} }, "no signing key is in force"},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			store := &keys{}
			d := newDeployment(t, store)
			d.open(t, policy(nil))
			tt.lose(d, t, store.list)
			before, rev := d.stored(t)
			if _, err := d.tryOpen(t, signs(bridge.SignEdDSA), d.Now); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("OpenSigner = %v, want %q", err, tt.want)
			}
			if after, now := d.stored(t); now != rev || cmp.Diff(before, after) != "" {
				t.Error("the refused start changed the keys")
			}
		})
	}
}

// OP-24, AS-017: the key set shows public members only, each with kid, alg and use, whatever the algorithm.
func TestSigner_JWKS_OP24(t *testing.T) {
	t.Parallel()
	members := map[string][]string{
		bridge.SignES256: {"alg", "crv", "kid", "kty", "use", "x", "y"},
		bridge.SignEdDSA: {"alg", "crv", "kid", "kty", "use", "x"},
		bridge.SignRS256: {"alg", "e", "kid", "kty", "n", "use"},
	}
	for _, algorithm := range bridge.SigningAlgorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, &keys{})
			signer := d.open(t, signs(algorithm))
			set, ids := published(t, signer)
			if current := kid(t, mint(t, signer)); len(ids) != 2 || ids[0] != current {
				t.Errorf("AS-017: the JWKS has %v, want the current key %s and a next one", ids, current)
			}
			list, _ := d.stored(t)
			for i, id := range ids {
				if diff := cmp.Diff(members[algorithm], slices.Sorted(maps.Keys(set[id]))); diff != "" {
					t.Errorf("members (-want +got):\n%s", diff)
				}
				if set[id]["alg"] != algorithm || set[id]["use"] != "sig" {
					t.Errorf("AS-017: key %v", set[id])
				}
				if bytes.Contains(list[i].Public, []byte(`"d"`)) {
					t.Error("the stored public part has a private member")
				}
			}
		})
	}
}

// Whoever asks for the key set reads memory: no look into the store, and nothing allocated.
func TestSigner_JWKS_fromMemory(t *testing.T) {
	store := &keys{}
	signer := newDeployment(t, store).open(t, policy(nil))
	before := store.read()
	if allocations := testing.AllocsPerRun(1000, func() { signer.JWKS() }); allocations > 0 {
		t.Errorf("%v allocations for each answer", allocations)
	}
	if after := store.read(); after != before {
		t.Errorf("the store was read %d times", after-before)
	}
}
