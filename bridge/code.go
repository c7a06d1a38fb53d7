package bridge

import (
	"crypto/subtle"
	"time"
)

// MaxCodeMismatches is how many wrong redemptions a code survives: a stranger's guess must not
// burn it, and guessing must end (TK-04).
const MaxCodeMismatches = 5

// Code is a stored authorization code. It stays, spent, until well after its expiry: absence
// never means used.
type Code struct {
	Hash          Hash      `json:"hash"`
	GrantID       string    `json:"grant_id"`
	ClientID      string    `json:"client_id"`
	RedirectURI   string    `json:"redirect_uri"`
	RedirectSent  bool      `json:"redirect_sent"`
	CodeChallenge string    `json:"code_challenge"`
	ProofKey      Hash      `json:"proof_key,omitzero"` // whoever redeems it has to hold this key (RFC 9449 §10); zero: nobody has to
	Resource      string    `json:"resource"`
	Refresh       bool      `json:"refresh"` // a refresh family comes with it
	Mismatches    int       `json:"mismatches,omitzero"`
	SpentAt       time.Time `json:"spent_at,omitzero"`
	ExpiresAt     time.Time `json:"expires_at"`
}

// CodeUse is a request to redeem a code. The caller has authenticated the client and checked the
// form of every value.
type CodeUse struct {
	Code        Hash
	ClientID    string
	RedirectURI string // "" when the client did not repeat it (OAuth 2.1 §10.2)
	Challenge   string // S256 of the presented code_verifier
	Resource    string // canonical; "" when the client did not repeat it
	ProofKey    Hash   // thumbprint of the key that the client showed it holds; zero: none
	// BindRefresh binds the refresh family to ProofKey, if there is one: it is all that protects the
	// refresh tokens of a public client (RFC 9449 §5).
	BindRefresh bool
	// Refresh is the first refresh token, used when the code comes with a family. Its grant is the code's.
	Refresh           RefreshToken
	RefreshIdle       time.Duration
	RefreshAbsolute   time.Duration
	AccessTokenLife   time.Duration
	ClientUnusedAfter time.Duration // how long after the grant's last possible token a registered client is kept
}

// CodeOutcome is what a redemption came to.
type CodeOutcome string

// The outcomes of RedeemCode.
const (
	CodeRedeemed    CodeOutcome = "redeemed"     // this call, and no other ever, may answer 200
	CodeReplayed    CodeOutcome = "replayed"     // spent before and the use matches: grant and family are ended
	CodeMismatch    CodeOutcome = "mismatch"     // client, redirect URI, verifier or key differ; counted
	CodeWrongTarget CodeOutcome = "wrong_target" // all good but the resource; nothing changed
	CodeExpired     CodeOutcome = "expired"
	CodeUnknown     CodeOutcome = "unknown"
)

// Judge says what use would come to at now. It changes nothing; a store applies the outcome.
func (c *Code) Judge(use CodeUse, now time.Time) CodeOutcome {
	spent := !c.SpentAt.IsZero()
	if !c.matches(use) {
		if spent {
			return CodeUnknown // a wrong replay must not end anything (AS-070)
		}
		if !now.Before(c.ExpiresAt) {
			return CodeExpired
		}
		return CodeMismatch
	}
	switch {
	case spent && c.Mismatches >= MaxCodeMismatches:
		return CodeUnknown // spent by guessing: there is no grant to end
	case spent:
		return CodeReplayed
	case !now.Before(c.ExpiresAt):
		return CodeExpired
	case use.Resource != "" && use.Resource != c.Resource:
		return CodeWrongTarget
	}
	return CodeRedeemed
}

func (c *Code) matches(use CodeUse) bool {
	if use.ClientID != c.ClientID || use.Challenge == "" || c.CodeChallenge == "" {
		return false
	}
	if use.RedirectURI != "" && use.RedirectURI != c.RedirectURI {
		return false
	}
	if !c.ProofKey.IsZero() && use.ProofKey != c.ProofKey {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(use.Challenge), []byte(c.CodeChallenge)) == 1
}
