package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

var linkTests = []test{
	{"GW-58/a person has one live link", linkOne},
	{"FB-19/two sources are two people, whatever their account", linkSources},
	{"GW-58/64 links of one person at once make one", linkRace},
	{"I10/ending a link ends its grants and queues its key once", linkEnd},
	{"I10/what EndLink leaves behind ends", linkCutShort},
	{"I10/a link that has ended makes no grant", linkEnded},
	{"links are listed newest first", linkLists},
	{"a link of nobody, an unknown link", linkAbsent},
}

// newLink is a link of a person to alice's account.
func (f *fixture) newLink(person bridge.Person) bridge.Link {
	return bridge.Link{
		ID: f.name("link"), Person: person, Made: bridge.LinkByCode,
		Account:    bridge.Account{Username: "alice", Email: "alice@example.com", Role: bridge.RoleUser},
		Credential: bridge.Credential{KeyID: f.name("key"), KeyName: "bridge: link", Sealed: []byte("sealed link key")},
		CreatedAt:  f.now,
	}
}

func (f *fixture) linked(t testing.TB, person bridge.Person) bridge.Link {
	t.Helper()
	link := f.newLink(person)
	outcome, got, err := f.CreateLink(t.Context(), link, f.now)
	must(t, err)
	equal(t, "outcome", outcome, bridge.LinkMade)
	equal(t, "link", got, link)
	return link
}

// through makes an approval one of a link: no key of its own.
func through(link bridge.Link) func(*bridge.Issue) {
	return func(i *bridge.Issue) {
		ofPerson(link.Person)(i)
		i.Grant.Link, i.Grant.Credential = link.ID, bridge.Credential{KeyName: link.Credential.KeyName, Sealed: []byte("copy")}
	}
}

func linkOne(t *testing.T, f *fixture) {
	link := f.linked(t, bob)
	f.reopen(t)
	got, err := f.LinkOf(t.Context(), bob.ID())
	must(t, err)
	equal(t, "link", got, link)
	outcome, other, err := f.CreateLink(t.Context(), f.newLink(bob), f.now)
	must(t, err)
	equal(t, "outcome", outcome, bridge.LinkExists)
	equal(t, "the live link", other, link)
	again := f.newLink(bridge.Person{Source: bob.Source, Subject: "carol"})
	again.ID = link.ID
	_, _, err = f.CreateLink(t.Context(), again, f.now)
	wantError(t, err, bridge.ErrConflict)

	_, _, ended, err := f.EndLink(t.Context(), link.ID, bridge.EndRevokedByOperator, f.now)
	must(t, err)
	equal(t, "ended", ended, true)
	_, err = f.LinkOf(t.Context(), bob.ID())
	wantError(t, err, bridge.ErrNotFound)
	f.linked(t, bob) // and may link again
}

func linkSources(t *testing.T, f *fixture) {
	first := f.linked(t, bob)
	elsewhere := bridge.Person{Source: "https://other.example.com", Subject: bob.Subject}
	second := f.linked(t, elsewhere)
	for person, want := range map[bridge.Person]bridge.Link{bob: first, elsewhere: second} {
		got, err := f.LinkOf(t.Context(), person.ID())
		must(t, err)
		equal(t, "link", got, want)
	}
}

func linkRace(t *testing.T, f *fixture) {
	var mu sync.Mutex
	outcomes, ids := map[bridge.LinkOutcome]int{}, map[string]bool{}
	barrier(64, func(int) {
		outcome, link, err := f.CreateLink(t.Context(), f.newLink(bob), f.now)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		outcomes[outcome]++
		ids[link.ID] = true
	})
	equal(t, "outcomes", outcomes, map[bridge.LinkOutcome]int{bridge.LinkMade: 1, bridge.LinkExists: 63})
	equal(t, "links", len(ids), 1)
}

func linkEnd(t *testing.T, f *fixture) {
	link := f.linked(t, bob)
	live, token := f.live(t, through(link))
	pending := f.issued(t, through(link)).Grant
	over, _ := f.live(t, through(link))
	_, _, err := f.EndGrant(t.Context(), over.ID, bridge.EndRevokedByClient, f.now)
	must(t, err)
	f.wantUnqueued(t) // the key is the link's
	foreign, _ := f.live(t, through(f.linked(t, bridge.Person{Source: bob.Source, Subject: "carol"})))

	at := f.now.Add(time.Minute)
	got, grants, ended, err := f.EndLink(t.Context(), link.ID, bridge.EndRevokedByOperator, at)
	must(t, err)
	equal(t, "ended by this call", ended, true)
	equal(t, "grants ended", len(grants), 2)
	f.reopen(t)
	want := link
	want.EndedAt, want.EndReason, want.Credential.Sealed = at, bridge.EndRevokedByOperator, nil
	equal(t, "returned link", got, want)
	stored, err := f.Link(t.Context(), link.ID)
	must(t, err)
	equal(t, "stored link", stored, want)
	for _, grant := range []bridge.Grant{live, pending} {
		equal(t, "reason", f.wantGrant(t, grant.ID, bridge.GrantEnded).EndReason, bridge.EndUnlinked)
	}
	equal(t, "reason of the first", f.wantGrant(t, over.ID, bridge.GrantEnded).EndReason, bridge.EndRevokedByClient)
	f.wantGrant(t, foreign.ID, bridge.GrantLive)
	f.wantRotate(t, f.useRefresh(token), bridge.RefreshEnded)
	queue, err := f.DueKeyRevocations(t.Context(), at, 10)
	must(t, err)
	equal(t, "queue", queue, []bridge.KeyRevocation{{
		GrantID: link.ID, PersonID: bob.ID(), Credential: link.Credential, DueAt: at,
	}})

	must(t, f.FinishKeyRevocation(t.Context(), link.ID))
	again, grants, ended, err := f.EndLink(t.Context(), link.ID, bridge.EndExpired, at)
	must(t, err)
	equal(t, "ended by the second call", ended, false)
	equal(t, "link of the second call", again, want)
	equal(t, "grants of the second call", len(grants), 0)
	f.wantUnqueued(t)
}

// machines starts n grants through a link.
func (f *fixture) machines(t *testing.T, link bridge.Link, n int) {
	t.Helper()
	const atOnce = 50
	barrier(atOnce, func(i int) {
		for ; i < n; i += atOnce {
			grant := f.newMachine()
			grant.Person, grant.Link = link.Person, link.ID
			if _, err := f.StartGrant(t.Context(), grant, f.now); err != nil {
				t.Error(err)
			}
		}
	})
}

// wantOpenOf wants so many grants of a person to be open.
func (f *fixture) wantOpenOf(t *testing.T, person bridge.Person, want int) {
	t.Helper()
	grants, err := f.Grants(t.Context(), person.ID(), "", "", 10_000)
	must(t, err)
	open := slices.DeleteFunc(grants, func(g bridge.Grant) bool { return g.Status == bridge.GrantEnded })
	equal(t, "open grants", len(open), want)
}

// Two ends are cut short after their first write, and the process dies.
func linkCutShort(t *testing.T, f *fixture) {
	const many = 250
	carol := bridge.Person{Source: bob.Source, Subject: "carol"}
	ended := 0
	for _, person := range []bridge.Person{bob, carol} {
		link := f.linked(t, person)
		f.machines(t, link, many)
		ctx, cancel := context.WithCancel(t.Context())
		stop := f.WatchGrants(func(string) { cancel() })
		after, grants, now, err := f.EndLink(ctx, link.ID, bridge.EndRevokedByOperator, f.now)
		stop()
		wantError(t, err, context.Canceled)
		equal(t, "the link ended", now && !after.Live(), true)
		f.wantOpenOf(t, person, many-len(grants))
		ended += len(grants)
		started := f.newMachine()
		started.Person, started.Link = person, link.ID
		_, err = f.StartGrant(t.Context(), started, f.now)
		wantError(t, err, bridge.ErrNotFound)
	}
	if ended == 0 || ended >= many {
		t.Errorf("the first writes ended %d grants", ended)
	}
	f.reopen(t)
	at := f.now.Add(time.Minute)
	for {
		grants, err := f.EndUnlinked(t.Context(), at)
		must(t, err)
		if len(grants) == 0 {
			break
		}
		for _, grant := range grants {
			equal(t, "reason", f.wantGrant(t, grant.ID, bridge.GrantEnded).EndReason, bridge.EndUnlinked)
		}
		ended += len(grants)
	}
	equal(t, "grants ended in all", ended, 2*many)
	f.wantOpenOf(t, bob, 0)
	f.wantOpenOf(t, carol, 0)
}

func linkEnded(t *testing.T, f *fixture) {
	link := f.linked(t, bob)
	_, _, _, err := f.EndLink(t.Context(), link.ID, bridge.EndRevokedByOperator, f.now)
	must(t, err)
	standing := f.linked(t, bob)
	for name, edit := range map[string]func(*bridge.Issue){
		"ended":            through(link),
		"unknown":          func(i *bridge.Issue) { through(standing)(i); i.Grant.Link = "link-unknown" },
		"another person's": func(i *bridge.Issue) { through(standing)(i); ofPerson(alice)(i) },
	} {
		flow := f.newFlow()
		must(t, f.CreateFlow(t.Context(), flow))
		issue := f.newIssue(flow)
		edit(&issue)
		outcome, err := f.IssueCode(t.Context(), issue, f.now)
		must(t, err)
		equal(t, "outcome with a link that is "+name, outcome, bridge.LinkEnded)
		f.wantNotIssued(t, issue)
		f.wantFlow(t, flow)

		started := f.newMachine()
		started.Person, started.Link = issue.Grant.Person, issue.Grant.Link
		_, err = f.StartGrant(t.Context(), started, f.now)
		wantError(t, err, bridge.ErrNotFound)
		_, err = f.Grant(t.Context(), started.ID)
		wantError(t, err, bridge.ErrNotFound)
	}
	started := f.newMachine()
	started.Person, started.Link = bob, standing.ID
	want := started
	f.wantStart(t, started, want)
	_, grants, _, err := f.EndLink(t.Context(), standing.ID, bridge.EndRevokedByOperator, f.now)
	must(t, err)
	equal(t, "grants ended", len(grants), 1)
}

func linkLists(t *testing.T, f *fixture) {
	var ids []string
	for _, subject := range []string{"1", "2", "3"} {
		f.now = f.now.Add(time.Second)
		ids = append([]string{f.linked(t, bridge.Person{Source: bob.Source, Subject: subject}).ID}, ids...)
	}
	_, _, _, err := f.EndLink(t.Context(), ids[1], bridge.EndRevokedByOperator, f.now) // stays in the list
	must(t, err)
	f.reopen(t)
	for _, step := range []struct {
		after string
		limit int
		want  []string
	}{{"", 10, ids}, {"", 2, ids[:2]}, {ids[0], 1, ids[1:2]}, {ids[1], 10, ids[2:]}, {ids[2], 10, []string{}}, {"", 0, []string{}}} {
		page, err := f.Links(t.Context(), step.after, step.limit)
		must(t, err)
		got := []string{}
		for _, link := range page {
			got = append(got, link.ID)
		}
		equal(t, "links after "+step.after, got, step.want)
	}
	_, err = f.Links(t.Context(), "link-unknown", 10)
	wantError(t, err, bridge.ErrNotFound)

	f.wantSweptAt(t, f.now.Add(365*24*time.Hour), 0)
	f.wantSweptAt(t, f.now.Add(367*24*time.Hour), 1)
	_, err = f.Link(t.Context(), ids[1])
	wantError(t, err, bridge.ErrNotFound)
}

func (f *fixture) wantSweptAt(t testing.TB, now time.Time, want int) {
	t.Helper()
	n, err := f.Sweep(t.Context(), now, 100)
	must(t, err)
	equal(t, "rows swept", n, want)
}

func linkAbsent(t *testing.T, f *fixture) {
	for name, edit := range map[string]func(*bridge.Link){
		"nobody's":      func(l *bridge.Link) { l.Person = bridge.Person{} },
		"without an id": func(l *bridge.Link) { l.ID = "" },
		"over":          func(l *bridge.Link) { l.EndedAt = f.now },
	} {
		link := f.newLink(bob)
		edit(&link)
		if _, _, err := f.CreateLink(t.Context(), link, f.now); err == nil {
			t.Errorf("a link that is %s was stored", name)
		}
	}
	for _, id := range []string{"", "link-unknown"} {
		_, err := f.Link(t.Context(), id)
		wantError(t, err, bridge.ErrNotFound)
		_, err = f.LinkOf(t.Context(), id)
		wantError(t, err, bridge.ErrNotFound)
		_, _, ended, err := f.EndLink(t.Context(), id, bridge.EndExpired, f.now)
		wantError(t, err, bridge.ErrNotFound)
		equal(t, "ended", ended, false)
	}
}
