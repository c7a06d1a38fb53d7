package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var listTests = []test{
	{"grants are listed newest first and narrowed", listNarrowed},
	{"a page goes on where the last one ended, whatever came between", listPages},
	{"pages of grants of one millisecond, whatever their ids say", listPagesOfOneMoment},
	{"grants whose ids say another time are listed once", listPagesElsewhere},
	{"a page after no grant", listAfterUnknown},
	{"lapsed grants, the longest lapsed first", listLapsed},
	{"Lapses moves with every token", listLapsesMove},
	{"grants that lapse later hold up none that has", listLapsesBehind},
	{"nor do those of which many tokens are revoked", listLapsesRevoked},
}

var bob = bridge.Person{Source: "https://idp.example.com", Subject: "bob"}

func ofPerson(person bridge.Person) func(*bridge.Issue) {
	return func(i *bridge.Issue) { i.Grant.Person, i.Consent.PersonID = person, person.ID() }
}

// wantGrants lists grants and wants these ids.
func (f *fixture) wantGrants(t testing.TB, person, client, after string, limit int, want ...string) {
	t.Helper()
	page, err := f.Grants(t.Context(), person, client, after, limit)
	must(t, err)
	equal(t, "grants", grantIDs(page), append([]string{}, want...))
}

func grantIDs(grants []bridge.Grant) []string {
	ids := []string{}
	for _, grant := range grants {
		ids = append(ids, grant.ID)
	}
	return ids
}

func listNarrowed(t *testing.T, f *fixture) {
	var ids []string
	for _, edits := range [][]func(*bridge.Issue){
		{},
		{ofPerson(bob)},
		{ofClient("client-b")},
		{ofPerson(bob), ofClient("client-b")},
		{},
	} {
		f.now = f.now.Add(time.Second)
		ids = append(ids, f.issued(t, edits...).Grant.ID)
	}
	_, _, err := f.EndGrant(t.Context(), ids[0], bridge.EndExpired, f.now) // stays in the lists
	must(t, err)
	f.reopen(t)
	all := []string{ids[4], ids[3], ids[2], ids[1], ids[0]}
	f.wantGrants(t, "", "", "", 10, all...)
	f.wantGrants(t, alice.ID(), "", "", 10, ids[4], ids[2], ids[0])
	f.wantGrants(t, bob.ID(), "", "", 10, ids[3], ids[1])
	f.wantGrants(t, "", "client-a", "", 10, ids[4], ids[1], ids[0])
	f.wantGrants(t, "", "client-b", "", 10, ids[3], ids[2])
	f.wantGrants(t, alice.ID(), "client-a", "", 10, ids[4], ids[0])
	f.wantGrants(t, bob.ID(), "client-b", "", 10, ids[3])
	f.wantGrants(t, bob.ID(), "client-b", ids[3], 10)
	f.wantGrants(t, alice.ID(), "client-a", "", 1, ids[4])
	f.wantGrants(t, alice.ID(), "client-a", ids[4], 1, ids[0])
	f.wantGrants(t, "person-unknown", "", "", 10)
	f.wantGrants(t, "", "client", "", 10) // a prefix of a client is no client
	f.wantGrants(t, "", "", "", 0)
	f.wantGrants(t, "", "", "", 2, all[:2]...)
}

func listPages(t *testing.T, f *fixture) {
	var old []string
	for range 7 { // of one instant: their order is arbitrary and must not change
		old = append(old, f.issued(t).Grant.ID)
	}
	want, err := f.Grants(t.Context(), "", "", "", 10)
	must(t, err)
	equal(t, "grants", len(want), len(old))

	got := []string{}
	for after := ""; ; after = got[len(got)-1] {
		page, err := f.Grants(t.Context(), "", "", after, 2)
		must(t, err)
		if len(page) == 0 {
			break
		}
		got = append(got, grantIDs(page)...)
		f.now = f.now.Add(time.Second)
		f.issued(t)
		f.reopen(t)
	}
	equal(t, "grants over pages", got, grantIDs(want))
}

// listPagesOfOneMoment: three milliseconds with grants of every form of id in each.
func listPagesOfOneMoment(t *testing.T, f *fixture) {
	var moments [3][]string
	for i := range moments {
		for range 4 {
			f.now = f.now.Add(10 * time.Microsecond)
			for _, id := range []string{f.name("grant"), RandomID(), bridge.GrantID(f.now, RandomID())} {
				f.issued(t, func(issue *bridge.Issue) { issue.Grant.ID, issue.Code.GrantID = id, id })
				moments[i] = append(moments[i], id)
			}
		}
		f.now = f.now.Add(time.Millisecond)
	}
	f.wantPaged(t, func(got []string) {
		equal(t, "grants", len(got), len(slices.Concat(moments[:]...)))
		for i, n := 0, len(moments[0]); i < len(moments); i++ { // the newest moment first
			equal(t, "grants of a moment", slices.Sorted(slices.Values(got[i*n:(i+1)*n])), slices.Sorted(slices.Values(moments[len(moments)-1-i])))
		}
	})
}

// listPagesElsewhere: where a grant stands of which the id says another time is an engine's own, but it is there once.
func listPagesElsewhere(t *testing.T, f *fixture) {
	var all []string
	for _, other := range []time.Duration{0, -time.Hour, time.Hour, -time.Millisecond, time.Millisecond} {
		for range 2 {
			id := bridge.GrantID(f.now.Add(other), RandomID())
			f.issued(t, func(issue *bridge.Issue) { issue.Grant.ID, issue.Code.GrantID = id, id })
			all = append(all, id)
		}
	}
	slices.Sort(all)
	f.wantPaged(t, func(got []string) { equal(t, "grants", slices.Sorted(slices.Values(got)), all) })
	for _, id := range all {
		_, _, err := f.EndGrant(t.Context(), id, bridge.EndExpired, f.now)
		must(t, err)
	}
	f.wantPaged(t, func(got []string) { equal(t, "ended grants", slices.Sorted(slices.Values(got)), all) })
}

// wantPaged goes through all lists that alice's grants of client-a are in, by pages of several lengths.
func (f *fixture) wantPaged(t *testing.T, want func(ids []string)) {
	t.Helper()
	for _, list := range []struct{ person, client string }{{}, {alice.ID(), ""}, {"", "client-a"}, {alice.ID(), "client-a"}} {
		for _, limit := range []int{1, 2, 5, 100} {
			var got []string
			for after := ""; ; after = got[len(got)-1] {
				page, err := f.Grants(t.Context(), list.person, list.client, after, limit)
				must(t, err)
				if len(page) == 0 {
					break
				}
				got = append(got, grantIDs(page)...)
			}
			want(got)
		}
	}
}

func listAfterUnknown(t *testing.T, f *fixture) {
	f.issued(t)
	_, err := f.Grants(t.Context(), "", "", "grant-unknown", 10)
	wantError(t, err, bridge.ErrNotFound)
}

func listLapsed(t *testing.T, f *fixture) {
	var ids []string
	for i := range 4 {
		issue := f.issued(t, func(issue *bridge.Issue) {
			issue.Grant.Lapses = f.now.Add(time.Duration(4-i) * time.Minute)
		})
		ids = append(ids, issue.Grant.ID)
	}
	_, _, err := f.EndGrant(t.Context(), ids[1], bridge.EndRevokedByClient, f.now)
	must(t, err)
	f.reopen(t)
	for _, step := range []struct {
		after time.Duration
		limit int
		want  []string
	}{
		{time.Minute - time.Nanosecond, 10, []string{}},
		{time.Minute, 10, []string{ids[3]}},
		{4 * time.Minute, 10, []string{ids[3], ids[2], ids[0]}},
		{4 * time.Minute, 2, []string{ids[3], ids[2]}},
		{4 * time.Minute, 0, []string{}},
	} {
		got, err := f.LapsedGrants(t.Context(), f.now.Add(step.after), step.limit)
		must(t, err)
		equal(t, "lapsed after "+step.after.String(), grantIDs(got), step.want)
	}
	for _, id := range ids {
		_, _, err := f.EndGrant(t.Context(), id, bridge.EndCodeUnredeemed, f.now.Add(time.Hour))
		must(t, err)
	}
	got, err := f.LapsedGrants(t.Context(), f.now.Add(time.Hour), 10)
	must(t, err)
	equal(t, "left", grantIDs(got), []string{})
}

func listLapsesMove(t *testing.T, f *fixture) {
	wantLapsed := func(at time.Time, want ...string) {
		t.Helper()
		got, err := f.LapsedGrants(t.Context(), at, 10)
		must(t, err)
		equal(t, "lapsed", grantIDs(got), append([]string{}, want...))
	}
	issue := f.issued(t)
	wantLapsed(issue.Grant.Lapses, issue.Grant.ID)
	use := f.use(issue.Code)
	f.wantRedeem(t, use, bridge.CodeRedeemed)
	wantLapsed(f.now.Add(idleLife - time.Nanosecond))
	wantLapsed(f.now.Add(idleLife), issue.Grant.ID)

	f.now = f.now.Add(idleLife / 2)
	f.wantRotate(t, f.useRefresh(use.Refresh), bridge.RefreshRotated)
	wantLapsed(f.now.Add(idleLife - time.Nanosecond))
	wantLapsed(f.now.Add(idleLife), issue.Grant.ID)

	must(t, f.TouchGrant(t.Context(), issue.Grant.ID, f.now)) // a use alone moves nothing
	f.reopen(t)
	wantLapsed(f.now.Add(idleLife - time.Nanosecond))
	wantLapsed(f.now.Add(idleLife), issue.Grant.ID)
}

// listLapsesBehind: many grants were refreshed since they were placed, and stand before one that was not.
func listLapsesBehind(t *testing.T, f *fixture) {
	var ids []string
	var tokens []bridge.RefreshToken
	for range 7 {
		grant, token := f.live(t)
		ids, tokens = append(ids, grant.ID), append(tokens, token)
		f.now = f.now.Add(time.Second)
	}
	idle, _ := f.live(t)
	f.now = f.now.Add(idleLife / 2)
	for _, token := range tokens {
		f.wantRotate(t, f.useRefresh(token), bridge.RefreshRotated)
		f.now = f.now.Add(time.Second)
	}
	got, err := f.LapsedGrants(t.Context(), idle.Lapses, 2)
	must(t, err)
	equal(t, "lapsed", grantIDs(got), []string{idle.ID})
	f.reopen(t)
	got, err = f.LapsedGrants(t.Context(), f.now.Add(idleLife), 100)
	must(t, err)
	equal(t, "lapsed in the end", grantIDs(got), append([]string{idle.ID}, ids...))
}

func listLapsesRevoked(t *testing.T, f *fixture) {
	var tokens []bridge.RefreshToken
	for range longRows {
		_, token := f.live(t, f.revokedMany)
		tokens = append(tokens, token)
	}
	f.now = f.now.Add(time.Second)
	idle, _ := f.live(t)
	f.now = f.now.Add(idleLife / 2)
	for _, token := range tokens {
		f.wantRotate(t, f.useRefresh(token), bridge.RefreshRotated)
	}
	got, err := f.LapsedGrants(t.Context(), idle.Lapses, 100)
	must(t, err)
	equal(t, "lapsed", grantIDs(got), []string{idle.ID})
}
