package bridge

import "time"

// GrantStatus is where a grant stands. It only ever moves forward.
type GrantStatus string

// The states of a grant.
const (
	GrantPending GrantStatus = "pending" // approved, its code not yet redeemed
	GrantLive    GrantStatus = "live"
	GrantEnded   GrantStatus = "ended"
)

// EndReason says why a grant ended; it is shown in lists and in the audit trail.
type EndReason string

// The reasons a grant ends.
const (
	EndRevokedByClient   EndReason = "revoked_by_client"   // RFC 7009
	EndRevokedByOperator EndReason = "revoked_by_operator" // trinity-bridge grants revoke
	EndRevokedByPerson   EndReason = "revoked_by_person"   // on their own page
	EndCodeReplayed      EndReason = "code_replayed"       // RFC 6749 §4.1.2
	EndCodeUnredeemed    EndReason = "code_unredeemed"
	EndRefreshReused     EndReason = "refresh_token_reused" // RFC 9700 §4.14.2
	EndExpired           EndReason = "expired"
	EndStoreLost         EndReason = "store_lost"      // the store went back in time (StartGeneration)
	EndCredentialDead    EndReason = "credential_dead" // Trinity no longer takes the key
	EndAccountChanged    EndReason = "account_changed" // the key answers for somebody else
	EndUnlinked          EndReason = "unlinked"        // the link it came through has ended
	EndNotAdmitted       EndReason = "not_admitted"    // the rules of the identity source no longer let the person in
	EndSignedOut         EndReason = "signed_out"      // the identity provider says that the session is over
	EndGrantsOver        EndReason = "grants_over"     // of an identity session: the last grant of it has ended
	EndScopeChanged      EndReason = "scope_changed"   // the key resolves to another principal
	EndRoleLowered       EndReason = "role_lowered"
	EndOwnerSuspended    EndReason = "owner_suspended"
	EndActingWithdrawn   EndReason = "acting_withdrawn" // the operator no longer lets the person act as that
)

// Forgets reports whether the person's yes is forgotten with the grant: they took it back, or may have in
// what the store has lost.
func (r EndReason) Forgets() bool {
	return r == EndRevokedByPerson || r == EndUnlinked || r == EndStoreLost
}

// Credential is the trinity_mcp_ key of a grant or link. Sealed is bound to its id.
type Credential struct {
	KeyID   string `json:"key_id"`   // Trinity's id of the key; "" where the key is not this row's to revoke
	KeyName string `json:"key_name"` // what Trinity's own audit shows
	Sealed  []byte `json:"sealed,omitzero"`
}

// Grant is the live permission a consent created.
type Grant struct {
	ID         string      `json:"id"`
	Status     GrantStatus `json:"status"`
	Person     Person      `json:"person"`
	Account    Account     `json:"account"`
	ActingAs   ActingAs    `json:"acting_as"`
	ClientID   string      `json:"client_id"`
	ClientName string      `json:"client_name,omitzero"` // as it was shown when the person agreed
	Redirect   string      `json:"redirect,omitzero"`    // where the answer went; "" for grants that no answer was given for
	Resource   string      `json:"resource"`
	Scopes     Scopes      `json:"scopes"`
	Asked      Scopes      `json:"asked"`            // what the client asked for; the person may have allowed less
	Refresh    bool        `json:"refresh,omitzero"` // it has a refresh family
	Credential Credential  `json:"credential"`
	Link       string      `json:"link,omitzero"`     // the link it came through; "" with a key of its own
	Identity   string      `json:"identity,omitzero"` // the identity session it came from; "" without a provider
	Ceiling    Scopes      `json:"ceiling,omitzero"`  // the most the person may have; empty means all
	Profile    string      `json:"profile,omitzero"`  // the tool set at its resource; "" is the default one
	Profiles   []string    `json:"profiles,omitzero"` // the profiles the person may use; empty means all
	CreatedAt  time.Time   `json:"created_at"`        // of one that came of a consent: when its person signed in for it
	LastUsedAt time.Time   `json:"last_used_at,omitzero"`
	EndedAt    time.Time   `json:"ended_at,omitzero"`
	EndReason  EndReason   `json:"end_reason,omitzero"`
	// Started: made by StartGrant. Its id comes again, so an ended one is kept to say so.
	Started bool `json:"started,omitzero"`
	// RevokedTokens are access tokens revoked one by one (RFC 7009), by jti, until they expire.
	RevokedTokens map[string]time.Time `json:"revoked_tokens,omitzero"`
	// Lapses is when the sweeper ends a pending grant whose code nobody redeemed, or a live one
	// whose last token is dead. Zero means never.
	Lapses time.Time `json:"lapses,omitzero"`
}

// Live reports whether calls may be made under the grant.
func (g *Grant) Live() bool { return g.Status == GrantLive }

// Alive is Live at a moment: a lapsed grant is dead before the sweeper comes.
func (g *Grant) Alive(now time.Time) bool {
	return g.Live() && (g.Lapses.IsZero() || now.Before(g.Lapses))
}

// TokenUse is what an access token says of the grant it stands for.
type TokenUse struct {
	ID, ClientID, PersonID, Resource string
	// Person is who PersonID stands for, where that was found out before: making the id of a person
	// costs more than comparing two of them. Zero: it was not.
	Person Person
}

// of reports whether the token is the person's.
func (u *TokenUse) of(p Person) bool {
	return !p.IsZero() && u.Person == p || u.PersonID == p.ID()
}

// Mismatch says why a token that is good by itself does not open the grant at now, or "". The
// reason is for the log.
func (g *Grant) Mismatch(use TokenUse, now time.Time) string {
	_, revoked := g.RevokedTokens[use.ID]
	switch {
	case !g.Alive(now):
		return "the grant has ended"
	case g.ClientID != use.ClientID || !use.of(g.Person) || g.Resource != use.Resource:
		return "the grant is another one's"
	case revoked || use.ID == "":
		return "the token is revoked"
	}
	return ""
}

// Consent is a person's remembered yes. It never skips the consent page (CO-08): it lets the page
// say what is new since the last time.
type Consent struct {
	PersonID    string    `json:"person_id"`
	ClientID    string    `json:"client_id"`
	RedirectURI string    `json:"redirect_uri"`
	Resource    string    `json:"resource"`
	Scopes      Scopes    `json:"scopes"`
	ActingAs    ActingAs  `json:"acting_as"`
	Fingerprint Hash      `json:"fingerprint,omitzero"` // Client.Fingerprint of that time
	GivenAt     time.Time `json:"given_at"`
}

// KeyRevocation is a Trinity key that must still be revoked at Trinity. It outlives its grant and
// is removed only when Trinity has confirmed.
type KeyRevocation struct {
	GrantID     string     `json:"grant_id"` // or the id of the link whose key it was
	PersonID    string     `json:"person_id"`
	Credential  Credential `json:"credential"`
	Tries       int        `json:"tries"`
	DueAt       time.Time  `json:"due_at"`
	NeedsSignIn bool       `json:"needs_sign_in,omitzero"` // Trinity takes only the person's own session for it
}
