package app

import (
	"errors"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/admission"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
)

// An assertion that lacks what the rules look at is judged by the session the person has, while it
// stands and could be checked.
func TestPeople_standing(t *testing.T) {
	t.Parallel()
	store, err := badger.Open(badger.Options{Dir: t.TempDir(), Sealer: secrettest.Ring()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	now := time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC)
	source := config.Source{Name: "company", Issuer: "https://login.example.com", Policy: admission.Policy{
		Groups: admission.ParsePath("groups"), Rules: []admission.Rule{{Name: "staff", Groups: []string{"staff"}, Ceiling: bridge.AllScopes()}},
	}}
	p := &people{store: store, sources: []config.Source{source}, grace: time.Hour, now: func() time.Time { return now }}
	resolve := func(subject string, claims admission.Claims) (string, error) {
		t.Helper()
		known, err := p.Resolve(t.Context(), bridge.Person{Source: source.Issuer, Subject: subject}, claims)
		if err != nil || known.Admission == nil {
			return "", err
		}
		return known.Admission.Rule, nil
	}
	session := func(id, subject string, admitted bridge.Admission) {
		t.Helper()
		person := bridge.Person{Source: source.Issuer, Subject: subject}
		flow := bridge.Flow{ID: "flow-" + id, Step: bridge.StepConsent, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
		if err := store.CreateFlow(t.Context(), flow); err != nil {
			t.Fatal(err)
		}
		hash := bridge.HashOf(id)
		outcome, err := store.IssueCode(t.Context(), bridge.Issue{
			FlowID: flow.ID, Consent: bridge.Consent{PersonID: person.ID(), GivenAt: now},
			Grant: bridge.Grant{ID: id, Status: bridge.GrantPending, Person: person, Identity: "i-" + id, ClientID: "c", CreatedAt: now, Lapses: now.Add(time.Minute)},
			Code:  bridge.Code{Hash: hash, GrantID: id, ClientID: "c", ExpiresAt: now.Add(time.Minute)},
			Identity: &bridge.IdentitySession{
				ID: "i-" + id, Source: "company", Person: person, Admission: admitted, CreatedAt: now,
			},
		}, now)
		if err != nil || outcome != bridge.CodeIssued {
			t.Fatalf("%s, %v", outcome, err)
		}
	}
	read := bridge.Scopes{bridge.ScopeRead}
	session("old", "alice", bridge.Admission{Rule: "old", Ceiling: read, CheckedAt: now.Add(-time.Hour)})
	session("new", "alice", bridge.Admission{Rule: "new", Ceiling: read, CheckedAt: now.Add(-time.Minute)})
	session("failing", "bob", bridge.Admission{Rule: "x", Ceiling: read, CheckedAt: now.Add(-3 * time.Hour), FailingSince: now.Add(-2 * time.Hour)})
	session("within", "carol", bridge.Admission{Rule: "x", Ceiling: read, CheckedAt: now.Add(-3 * time.Hour), FailingSince: now.Add(-time.Minute)})

	for _, tt := range []struct {
		name, subject string
		claims        admission.Claims
		want          string
	}{
		{"the assertion's own claims", "nobody", admission.Claims{"groups": "staff"}, "staff"},
		{"the newest session", "alice", nil, "new"},
		{"a session that could not be checked within the grace", "carol", nil, "x"},
		{"one that could not be checked for longer", "bob", nil, ""},
		{"no session", "nobody", nil, ""},
	} {
		rule, err := resolve(tt.subject, tt.claims)
		if rule != tt.want || (tt.want == "") != errors.Is(err, bridge.ErrNotFound) {
			t.Errorf("%s: rule %q, %v", tt.name, rule, err)
		}
	}
	if _, _, _, err := store.EndIdentity(t.Context(), "i-new", bridge.EndSignedOut, now); err != nil {
		t.Fatal(err)
	}
	if rule, err := resolve("alice", nil); rule != "old" || err != nil {
		t.Errorf("after one session ended: %q, %v", rule, err)
	}
	// A provider that is no identity source has no rules here.
	if known, err := p.Resolve(t.Context(), bridge.Person{Source: "https://other.example.com", Subject: "alice"}, nil); err != nil || known.Admission != nil {
		t.Errorf("without rules: %+v, %v", known, err)
	}
}
