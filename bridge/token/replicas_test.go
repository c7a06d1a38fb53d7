package token_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

// Two replicas on one store: whichever knows of a rotation first, no token of either is refused by the other.
func TestSigner_OP21_twoReplicas(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, openBadger(t))
	one, two := d.open(t, policy(nil)), d.open(t, policy(nil))
	both := func(minted secret.Token) {
		t.Helper()
		check(t, one, minted, true)
		check(t, two, minted, true)
	}
	old := mint(t, one)
	both(old)
	d.Advance(token.PublishedAhead)
	if err := one.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	byOne, byTwo := mint(t, one), mint(t, two)
	if kid(t, byOne) == kid(t, old) || kid(t, byTwo) != kid(t, old) {
		t.Error("the replica that rotated does not sign with the next key, or the other one does")
	}
	both(old)
	both(byOne)
	both(byTwo)
	if err := two.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kid(t, mint(t, two)) != kid(t, byOne) || string(one.JWKS()) != string(two.JWKS()) {
		t.Error("the other replica did not follow")
	}
	both(old)
	both(byTwo)

	// A leak, found at one of them: the other believes the new key at its first token, and the old no more.
	if err := two.RotateNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	both(mint(t, two))
	check(t, one, old, false)
	check(t, one, byOne, false)
	both(mint(t, one))
}

// A replica whose clock is behind signs with the first key, though its time has not come.
func TestOpenSigner_clockBehind(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, &keys{})
	ahead := d.open(t, policy(nil))
	behind, err := d.tryOpen(t, policy(nil), func() time.Time { return d.Now().Add(-20 * time.Second) })
	if err != nil {
		t.Fatal(err)
	}
	check(t, ahead, mint(t, behind), true)
	check(t, behind, mint(t, ahead), true)
}

// A replica whose clock is behind puts its key behind the one that was called before, not in front.
func TestSigner_OP21_orderOfTakeover(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, &keys{})
	if err := d.open(t, policy(nil)).Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.tryOpen(t, signs(bridge.SignEdDSA), func() time.Time { return d.Now().Add(-time.Minute) }); err != nil {
		t.Fatal(err)
	}
	d.Advance(token.PublishedAhead)
	signer := d.open(t, signs(bridge.SignEdDSA))
	minted := mint(t, signer)
	if set, _ := published(t, signer); set[kid(t, minted)]["alg"] != bridge.SignEdDSA {
		t.Errorf("%v signs, want the key that was called last", set[kid(t, minted)])
	}
	if got := d.audited(); len(got) != 2 {
		t.Errorf("audit %v, want the command and the change", got)
	}
}

// Replicas that start, or find a rotation due, at once come to one result.
func TestSigner_OP21_race(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, openBadger(t))
	together := func(do func(int)) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() { do(i) })
		}
		all.Wait()
	}
	signers := make([]*token.Signer, 8)
	together(func(i int) {
		var err error
		if signers[i], err = d.tryOpen(t, policy(nil), d.Now); err != nil {
			t.Error(err)
		}
	})
	if list, _ := d.stored(t); len(list) != 2 {
		t.Fatalf("eight first starts made %d keys, want two", len(list))
	}
	d.Advance(90 * 24 * time.Hour)
	together(func(i int) {
		if err := signers[i].Settle(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if list, _ := d.stored(t); len(list) != 3 {
		t.Errorf("eight due rotations left %d keys, want three", len(list))
	}
	if got := d.audited(); len(got) != 1 {
		t.Errorf("audit %v, want one rotation", got)
	}
	for _, signer := range signers {
		check(t, signers[0], mint(t, signer), true)
	}
}

// A replica that another gets ahead of looks again at what is due, and finds it done.
func TestSigner_OP21_overtaken(t *testing.T) {
	t.Parallel()
	store := &keys{}
	d := newDeployment(t, store)
	one, two := d.open(t, policy(nil)), d.open(t, policy(nil))
	old := mint(t, one)
	d.Advance(90 * 24 * time.Hour)
	store.ahead = func() {
		if err := two.Settle(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := one.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.audited(); len(got) != 1 {
		t.Errorf("audit %v, want one rotation", got)
	}
	if signs := kid(t, mint(t, one)); signs == kid(t, old) || signs != kid(t, mint(t, two)) {
		t.Error("the two do not sign with the same new key")
	}
	store.ahead = func() { // an emergency is not lost for it
		if err := two.RotateNow(t.Context()); err != nil {
			t.Error(err)
		}
	}
	lost := mint(t, one)
	if err := one.RotateNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, one, lost, false)
	check(t, two, mint(t, one), true)
}

// RS-23: 1,000 tokens with random key ids cost one look into the store in each window, and do not keep
// a new key from being learnt.
func TestSigner_RS23_unknownKeys(t *testing.T) {
	t.Parallel()
	store := &keys{}
	d := newDeployment(t, store)
	signer, other := d.open(t, policy(nil)), d.open(t, policy(nil))
	flood := func() int {
		before := store.read()
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				for j := range 100 {
					header := fmt.Sprintf(`{"alg":"ES256","typ":"at+jwt","kid":"random-%d-%d"}`, i, j)
					encode := base64.RawURLEncoding.EncodeToString
					forged := secret.New(encode([]byte(header)) + "." + encode([]byte("{}")) + "." + encode(make([]byte, 64)))
					if _, err := signer.Check(forged, resource); err == nil {
						t.Error("a forged token is good")
					}
				}
			})
		}
		all.Wait()
		return store.read() - before
	}
	if reads := flood(); reads != 1 {
		t.Errorf("the store was read %d times, want once", reads)
	}
	if reads := flood(); reads != 0 {
		t.Errorf("in the same window the store was read %d times", reads)
	}
	before := store.read()
	check(t, signer, mint(t, signer), true)
	if store.read() != before {
		t.Error("a known key made the store be read")
	}
	if err := other.RotateNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(t, signer, mint(t, other), false) // the window is used up
	d.Advance(time.Second)
	check(t, signer, mint(t, other), true)
	if reads := flood(); reads != 0 {
		t.Errorf("in the window that the new key opened the store was read %d times", reads)
	}
	d.Advance(-time.Hour) // a clock that is set back does not close the window for an hour
	if reads := flood(); reads != 1 {
		t.Errorf("the store was read %d times, want once", reads)
	}
}

// A token with an unknown key that is no token of ours in other ways makes nobody read anything.
func TestSigner_RS23_onlyOurKind(t *testing.T) {
	t.Parallel()
	store := &keys{}
	signer := newDeployment(t, store).open(t, policy(nil))
	before := store.read()
	for _, header := range []string{
		`{"alg":"ES256","typ":"JWT","kid":"x"}`, `{"alg":"ES256","kid":"x"}`, `{"alg":"HS256","typ":"at+jwt","kid":"x"}`,
		`{"alg":"none","typ":"at+jwt","kid":"x"}`, `{"typ":"at+jwt","kid":"x"}`,
	} {
		forged := base64.RawURLEncoding.EncodeToString([]byte(header)) + ".e30." + strings.Repeat("A", 86)
		check(t, signer, secret.New(forged), false)
	}
	if reads := store.read() - before; reads != 0 {
		t.Errorf("the store was read %d times", reads)
	}
}

// The stored form holds no private part in the clear, and reads the way it was written.
func TestSigner_AS82_atRest(t *testing.T) {
	t.Parallel()
	for _, algorithm := range bridge.SigningAlgorithms() {
		d := newDeployment(t, openBadger(t))
		d.open(t, signs(algorithm))
		list, _ := d.stored(t)
		for _, key := range list {
			text, err := json.Marshal(key)
			if err != nil {
				t.Fatal(err)
			}
			der := pkcs8(t, d.private(t, key.ID))
			if slices.ContainsFunc([]string{string(der), string(der[len(der)-32:])}, func(part string) bool {
				return strings.Contains(string(text)+string(key.Private), part)
			}) {
				t.Errorf("AS-082: %s: the private key is stored in the clear", algorithm)
			}
		}
	}
}
