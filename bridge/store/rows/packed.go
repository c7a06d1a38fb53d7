package rows

import (
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// packing returns the fields of a record that is packed, nil for the kinds that stay JSON: those there are few of, or
// that do not live long.
func packing(record any) func(*packer) {
	switch r := record.(type) {
	case *grantRow:
		return func(p *packer) { packGrant(p, r) }
	case *bridge.Code:
		return func(p *packer) { packCode(p, r) }
	case *bridge.Consent:
		return func(p *packer) { packConsent(p, r) }
	case *bridge.AuditEvent:
		return func(p *packer) { packAuditEvent(p, r) }
	case *client:
		return func(p *packer) { packClient(p, r) }
	case *bridge.Flow:
		return func(p *packer) { packFlow(p, r) }
	case *bridge.IdentitySession:
		return func(p *packer) { packIdentity(p, r) }
	}
	return nil
}

// packedFrom is what the first time of a record is counted from.
var packedFrom = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// words are texts that many records hold. The number of one is its place: new ones go to the end.
var words = []string{
	"pending", "live", "ended",
	"trinity", "client", "user", "agent", "system", "operator", "creator", "admin",
	"trinity:read", "trinity:write", "trinity:admin",
	"https://claude.ai/oauth/mcp-oauth-client-metadata", "https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback", "Claude", "Claude Code",
	"token_issued", "token_refreshed", "token_refused", "token_revoked", "grant_ended", "consent_shown", "consent_given", "signed_in", "sign_in_code_requested",
	"rotated", "repeated", "redeemed", "approve", "invalid_grant", "invalid_client", "invalid_request",
	"registered", "document", "none", "authorization_code", "refresh_token", "client_secret_basic", "client_secret_post", "private_key_jwt", "native", "web",
	"trinity-bridge:claude:", "trinity-bridge:claude-code:", "/mcp",
}

// What most grants and consents say. These stay what they are.
const (
	claude         = "https://claude.ai/oauth/mcp-oauth-client-metadata"
	claudeCallback = "https://claude.ai/api/mcp/auth_callback"
)

func readAndWrite() bridge.Scopes { return bridge.Scopes{"trinity:read", "trinity:write"} }

func packGrant(p *packer, g *grantRow) {
	p.usually(4, 6, 13, 16, 17, 18, 19, 25, 31, 33, 36, 38, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58)
	like(p, 1, 46, &g.ID, p.texts[0])
	like(p, 2, 52, &g.Status, bridge.GrantLive)
	like(p, 3, 53, &g.Person.Source, bridge.SourceTrinity)
	text(p, 4, &g.Person.Subject)
	like(p, 5, 47, &g.Account.Username, g.Person.Subject)
	text(p, 6, &g.Account.Email)
	like(p, 7, 54, &g.Account.Role, bridge.RoleUser)
	like(p, 8, 55, &g.ActingAs.Kind, bridge.ActAsUser)
	text(p, 9, &g.ActingAs.Agent)
	text(p, 10, &g.ActingAs.Owner)
	like(p, 11, 56, &g.ClientID, claude)
	like(p, 12, 57, &g.ClientName, "Claude")
	text(p, 13, &g.Resource)
	likeAll(p, 14, 51, &g.Scopes, readAndWrite())
	likeAll(p, 15, 48, &g.Asked, g.Scopes)
	p.flag(16, &g.Refresh)
	text(p, 17, &g.Credential.KeyID)
	text(p, 18, &g.Credential.KeyName)
	p.blob(19, &g.Credential.Sealed)
	text(p, 20, &g.Link)
	text(p, 21, &g.Identity)
	texts(p, 22, &g.Ceiling)
	text(p, 23, &g.Profile)
	texts(p, 24, &g.Profiles)
	p.time(25, &g.CreatedAt)
	p.time(26, &g.LastUsedAt)
	p.time(27, &g.EndedAt)
	text(p, 28, &g.EndReason)
	p.flag(29, &g.Started)
	p.timesByText(30, &g.RevokedTokens)
	p.time(31, &g.Lapses)
	like(p, 32, 58, &g.Redirect, claudeCallback)
	p.time(33, &g.Looked)
	like(p, 34, 49, &g.Family.GrantID, g.ID)
	like(p, 35, 50, &g.Family.ClientID, g.ClientID)
	p.tokenHash(36, &g.Family.Shared)
	p.hash(37, &g.Family.ProofKey)
	p.tokenHash(38, &g.Family.Head)
	p.tokenHash(39, new(bridge.TokenHash)) // the token before the head, which programs of before kept: it is read and dropped
	p.blob(40, new([]byte))                // and the head, sealed under it
	p.time(41, &g.Family.RotatedAt)
	p.count(42, &g.Family.Repeats)
	p.time(43, &g.Family.CreatedAt)
	p.time(44, &g.Family.IdleUntil)
	p.time(45, &g.Family.EndsAt)
}

func packCode(p *packer, c *bridge.Code) {
	p.hash(1, &c.Hash)
	text(p, 2, &c.GrantID)
	text(p, 3, &c.ClientID)
	text(p, 4, &c.RedirectURI)
	p.flag(5, &c.RedirectSent)
	text(p, 6, &c.CodeChallenge)
	p.hash(7, &c.ProofKey)
	text(p, 8, &c.Resource)
	p.flag(9, &c.Refresh)
	p.count(10, &c.Mismatches)
	p.time(11, &c.SpentAt)
	p.time(12, &c.ExpiresAt)
}

func packConsent(p *packer, c *bridge.Consent) {
	p.usually(1, 4, 9, 10, 11, 12, 13, 14)
	text(p, 1, &c.PersonID)
	like(p, 2, 11, &c.ClientID, claude)
	like(p, 3, 12, &c.RedirectURI, claudeCallback)
	text(p, 4, &c.Resource)
	likeAll(p, 5, 13, &c.Scopes, readAndWrite())
	like(p, 6, 14, &c.ActingAs.Kind, bridge.ActAsUser)
	text(p, 7, &c.ActingAs.Agent)
	text(p, 8, &c.ActingAs.Owner)
	p.hash(9, &c.Fingerprint)
	p.time(10, &c.GivenAt)
}

func packAuditEvent(p *packer, e *bridge.AuditEvent) {
	p.usually(1, 2, 3, 4, 5, 6, 7)
	p.time(1, &e.At)
	text(p, 2, &e.Kind)
	text(p, 3, &e.RequestID)
	text(p, 4, &e.PersonID)
	text(p, 5, &e.ClientID)
	text(p, 6, &e.GrantID)
	text(p, 7, &e.Outcome)
	text(p, 8, &e.Detail)
}

func packClient(p *packer, c *client) {
	text(p, 1, &c.ID)
	text(p, 2, &c.Kind)
	text(p, 3, &c.Name)
	texts(p, 4, &c.RedirectURIs)
	texts(p, 5, &c.GrantTypes)
	text(p, 6, &c.AuthMethod)
	hashes(p, 7, &c.SecretHashes)
	texts(p, 8, &c.Scopes)
	p.blob(9, &c.Keys)
	text(p, 10, &c.KeysURI)
	text(p, 11, &c.SigningAlg)
	p.flag(12, &c.OffersNone)
	p.flag(13, &c.BoundTokens)
	p.hash(14, &c.Fingerprint)
	text(p, 15, &c.URI)
	text(p, 16, &c.PolicyURI)
	text(p, 17, &c.TermsURI)
	text(p, 18, &c.LogoURI)
	texts(p, 19, &c.Contacts)
	text(p, 20, &c.SoftwareID)
	text(p, 21, &c.SoftwareVersion)
	text(p, 22, &c.ApplicationType)
	p.time(23, &c.CreatedAt)
	p.time(24, &c.UnusedUntil)
	p.flag(25, &c.Blocked)
	p.flag(26, &c.Used)
}
