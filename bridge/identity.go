package bridge

import (
	"errors"
	"slices"
	"time"
)

// Admission is what the rules of an identity source say of a person: that they may come in, by
// which rule, and with how much at most. The zero value admits nobody.
type Admission struct {
	Rule      string     `json:"rule"`              // the name of the rule that let the person in
	Ceiling   Scopes     `json:"ceiling"`           // the most a grant may carry
	Profiles  []string   `json:"profiles,omitzero"` // the profiles the person may use; none named means all
	ActAs     []ActingAs `json:"act_as,omitzero"`   // what the person may act as besides themselves
	CheckedAt time.Time  `json:"checked_at"`        // when it was last derived from claims the provider gave
	// FailingSince is since when it could not be checked: a provider that is down throws nobody out at
	// once. Zero when the last check was answered.
	FailingSince time.Time `json:"failing_since,omitzero"`
}

// ProfileDefault is how rules name the tool set at the connector's own address.
const ProfileDefault = "default"

// Opens reports whether the person may use a profile; "" is the default one.
func (a *Admission) Opens(profile string) bool {
	if profile == "" {
		profile = ProfileDefault
	}
	return len(a.Profiles) == 0 || slices.Contains(a.Profiles, profile)
}

// TenantMark stands in the issuer of a provider with several tenants for the tenant's id.
const TenantMark = "{tenantid}"

// IdentitySession is the sign-in at an OIDC provider that a grant came from, as the bridge last
// knew it. Grants made by Trinity's e-mail code have none.
type IdentitySession struct {
	ID        string    `json:"id"`
	Source    string    `json:"source"` // the name the configuration gives the source
	Person    Person    `json:"person"`
	SID       string    `json:"sid,omitzero"`      // the provider's own id of its session (OIDC Back-Channel Logout §2.1)
	Refresh   []byte    `json:"refresh,omitzero"`  // sealed refresh token of the provider, bound to ID
	IDToken   []byte    `json:"id_token,omitzero"` // sealed ID token, for the hint of a logout at the provider, bound to ID
	Admission Admission `json:"admission"`
	CreatedAt time.Time `json:"created_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	EndReason EndReason `json:"end_reason,omitzero"`
}

// End is the session once it has ended: it keeps no token of the provider.
func (s IdentitySession) End(reason EndReason, now time.Time) IdentitySession {
	s.EndedAt, s.EndReason, s.Refresh, s.IDToken = now, reason, nil, nil
	return s
}

// CheckUpdate refuses a change of what a session is: only its tokens and its admission change.
func (s *IdentitySession) CheckUpdate(after *IdentitySession) error {
	if after.ID != s.ID || after.Source != s.Source || after.Person != s.Person || after.SID != s.SID ||
		!after.CreatedAt.Equal(s.CreatedAt) || !after.EndedAt.IsZero() {
		return errors.New("an identity session cannot become another one")
	}
	return nil
}

// Narrow cuts a grant down to an admission and reports whether anything is left of it. It never
// gives: what was lost comes back by a new consent only.
func (g *Grant) Narrow(to Admission) bool {
	g.Ceiling, g.Profiles = to.Ceiling, to.Profiles
	g.Scopes = g.Scopes.Intersect(to.Ceiling)
	return len(g.Scopes) > 0 && to.Opens(g.Profile) && (!g.ActingAs.Lent() || slices.Contains(to.ActAs, g.ActingAs.Principal()))
}
