package storetest

import (
	"testing"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
)

var resealTests = []test{
	{"OP-13/a new secret opens all, the one before nothing", resealAll},
	{"OP-13/a walk that was cut short keeps both secrets needed, and is gone on with", resealCut},
	{"what was sealed meanwhile under the secret before is found the next time", resealLate},
	{"what was read before a walk and is written after it is sealed anew", resealStale},
	{"what no secret opens is counted and left alone", resealLost},
	{"a place that does not exist", resealNowhere},
}

// The secrets of an exchange: the store is made under Before.
func exchange(t testing.TB) (before, both, after *secret.Keyring) {
	t.Helper()
	next := []byte("the next master secret, 0123456789abcdef")
	both, err := secret.NewKeyring(next, []byte(secrettest.Master))
	must(t, err)
	after, err = secret.NewKeyring(next)
	must(t, err)
	return secrettest.Ring(), both, after
}

// sealing makes an approval one whose values are really sealed.
func sealing(ring *secret.Keyring) func(*bridge.Issue) {
	return func(i *bridge.Issue) {
		i.Grant.Credential.Sealed = ring.Seal(bridge.SealedKey, i.Grant.ID, []byte("key of "+i.Grant.ID))
		i.Exit = ring.Seal(bridge.SealedExit, i.FlowID, []byte("exit"))
		if i.Identity != nil {
			i.Identity.Refresh = ring.Seal(bridge.SealedIdentity, i.Identity.ID, []byte("refresh"))
			i.Identity.IDToken = ring.Seal(bridge.SealedIdentityToken, i.Identity.ID, []byte("token"))
		}
	}
}

// sealedRows fills a store with every kind of row that holds sealed values, and returns how many values.
func (f *fixture) sealedRows(t testing.TB, ring *secret.Keyring) int {
	t.Helper()
	must(t, f.SaveDeployment(t.Context(), bridge.Deployment{ID: "id", SealCheck: ring.Seal(bridge.SealedDeployment, "id", []byte("id"))}))
	var keys []bridge.SigningKey
	for _, id := range []string{"kid-1", "kid-2"} {
		keys = append(keys, bridge.SigningKey{ID: id, Private: ring.Seal(bridge.SealedSigningKey, id, []byte("private"))})
	}
	must(t, f.SwapSigningKeys(t.Context(), keys, 0))
	flow := f.newFlow()
	for kind, at := range map[string]*[]byte{
		bridge.SealedTrip: &flow.SignIn.Trip, bridge.SealedChallenge: &flow.SignIn.Challenge, bridge.SealedEnrolment: &flow.SignIn.Enrolment,
		bridge.SealedRecovery: &flow.SignIn.Recovery, bridge.SealedSession: &flow.SignIn.Session,
	} {
		*at = ring.Seal(kind, flow.ID, []byte(kind))
	}
	flow.SignIn.Identity = &bridge.IdentitySession{ID: "of-flow", Refresh: ring.Seal(bridge.SealedIdentity, "of-flow", []byte("refresh"))}
	must(t, f.CreateFlow(t.Context(), flow))
	for range 3 {
		f.live(t, sealing(ring))
	}
	f.issued(t, f.from("sid"), sealing(ring))
	over, _ := f.live(t, sealing(ring))
	_, _, err := f.EndGrant(t.Context(), over.ID, bridge.EndExpired, f.now)
	must(t, err)
	link := f.newLink(bob)
	link.Credential.Sealed = ring.Seal(bridge.SealedKey, link.ID, []byte("key of "+link.ID))
	_, _, err = f.CreateLink(t.Context(), link, f.now)
	must(t, err)
	return f.walk(t, 2, -1).Values
}

// walk seals anew in parts of so many rows, at most so many parts.
func (f *fixture) walk(t testing.TB, limit, parts int) (total bridge.Resealed) {
	t.Helper()
	for part := 0; part != parts; part++ {
		done, err := f.Reseal(t.Context(), total.Next, limit, f.now)
		must(t, err)
		total.Values, total.Anew, total.Lost = total.Values+done.Values, total.Anew+done.Anew, total.Lost+done.Lost
		if total.Next = done.Next; total.Next == "" {
			break
		}
	}
	return total
}

func resealAll(t *testing.T, f *fixture) {
	before, both, after := exchange(t)
	values := f.sealedRows(t, before)
	mac := f.MAC("purpose", "value")
	grants, err := f.Grants(t.Context(), "", "", "", 100)
	must(t, err)
	f.reopenWith(t, both)
	equal(t, "the walk", f.walk(t, 2, -1), bridge.Resealed{Values: values, Anew: values})
	equal(t, "the next walk", f.walk(t, 3, -1), bridge.Resealed{Values: values})
	must(t, f.Close())
	if s, err := f.open(before); err == nil {
		t.Error("the secret from before opens the store")
		f.Store = s
		return
	}
	f.Store, err = f.open(after)
	must(t, err)
	equal(t, "under the new secret alone", f.walk(t, 100, -1), bridge.Resealed{Values: values})
	equal(t, "a keyed hash", f.MAC("purpose", "value"), mac)
	for _, was := range grants {
		is, err := f.Grant(t.Context(), was.ID)
		must(t, err)
		if len(was.Credential.Sealed) > 0 {
			plain, err := after.Open(bridge.SealedKey, is.ID, is.Credential.Sealed)
			must(t, err)
			equal(t, "key", string(plain), "key of "+is.ID)
			if _, err := before.Open(bridge.SealedKey, is.ID, is.Credential.Sealed); err == nil {
				t.Error("the secret from before opens a key")
			}
		}
		is.Credential.Sealed = was.Credential.Sealed
		equal(t, "grant", is, was)
	}
	keys, revision, err := f.SigningKeys(t.Context())
	must(t, err)
	equal(t, "signing keys and revision", []int{len(keys), revision}, []int{2, 2})
}

func resealCut(t *testing.T, f *fixture) {
	before, both, after := exchange(t)
	values := f.sealedRows(t, before)
	parts := 0
	for total := (bridge.Resealed{Next: "begin"}); total.Next != ""; parts++ {
		f.reopenWith(t, both)
		total = f.walk(t, 1, parts+1) // from the beginning, each time one part further
		if total.Next == "" {
			break
		}
		must(t, f.Close())
		s, err := f.open(after)
		if err == nil {
			t.Errorf("the new secret alone opens the store after %d parts", parts+1)
			must(t, s.Close())
		}
		f.Store, err = f.open(before)
		must(t, err) // its rows; the deployment's check is sealed anew and refuses the program
		deployment, err := f.Deployment(t.Context())
		must(t, err)
		if _, err := before.Open(bridge.SealedDeployment, deployment.ID, deployment.SealCheck); err == nil {
			t.Errorf("the secret from before opens the deployment after %d parts", parts+1)
		}
	}
	f.reopenWith(t, after)
	equal(t, "under the new secret alone", f.walk(t, 100, -1), bridge.Resealed{Values: values})
}

func resealLate(t *testing.T, f *fixture) {
	before, both, _ := exchange(t)
	values := f.sealedRows(t, before)
	f.reopenWith(t, both)
	first := f.walk(t, 2, 5)
	late := f.issued(t, sealing(before), func(i *bridge.Issue) { i.Grant.ID, i.Code.GrantID = "a-grant-behind", "a-grant-behind" })
	late.Grant.Credential.Sealed = before.Seal(bridge.SealedKey, late.Grant.ID, []byte("key"))
	for next := first.Next; next != ""; {
		done, err := f.Reseal(t.Context(), next, 2, f.now)
		must(t, err)
		next = done.Next
	}
	again := f.walk(t, 2, -1)
	if again.Anew == 0 || again.Values <= values {
		t.Errorf("the second walk found %+v", again)
	}
	equal(t, "the third", f.walk(t, 2, -1).Anew, 0)
}

// resealStale: a key whose revocation was under way, and an approval that waited for Trinity, while a walk went by.
func resealStale(t *testing.T, f *fixture) {
	before, both, after := exchange(t)
	f.sealedRows(t, before)
	queue, err := f.DueKeyRevocations(t.Context(), f.now, 10)
	must(t, err)
	if len(queue) == 0 {
		t.Fatal("no key waits to be revoked")
	}
	f.reopenWith(t, both)
	f.walk(t, 100, -1)
	for _, entry := range queue {
		entry.Tries++
		must(t, f.QueueKeyRevocation(t.Context(), entry))
	}
	f.issued(t, f.from("sid"), sealing(before), func(i *bridge.Issue) {
		i.Grant.Credential.Sealed = both.Seal(bridge.SealedKey, i.Grant.ID, []byte("key")) // made in between
		i.Exit = both.Seal(bridge.SealedExit, i.FlowID, []byte("exit"))
	})
	equal(t, "sealed under the secret before", f.walk(t, 100, -1).Anew, 0)
	f.reopenWith(t, after)
	equal(t, "lost", f.walk(t, 100, -1).Lost, 0)
}

func resealLost(t *testing.T, f *fixture) {
	before, both, _ := exchange(t)
	f.sealedRows(t, before)
	stranger, err := secret.NewKeyring([]byte("somebody else's master secret, 0123456789"))
	must(t, err)
	grant, _ := f.live(t, sealing(stranger))
	f.reopenWith(t, both)
	if got := f.walk(t, 3, -1); got.Lost != 2 { // key and exit
		t.Errorf("the walk: %+v", got)
	}
	is, err := f.Grant(t.Context(), grant.ID)
	must(t, err)
	equal(t, "what no secret opens", is.Credential.Sealed, grant.Credential.Sealed)
}

func resealNowhere(t *testing.T, f *fixture) {
	for _, after := range []string{"audit", "grant/%", "grant2", "row-key/="} {
		if _, err := f.Reseal(t.Context(), after, 10, f.now); err == nil {
			t.Errorf("it went on from %q", after)
		}
	}
}
