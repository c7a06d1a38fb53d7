package trinitytest

import (
	"sync"
	"time"
)

// Generation is the version of the MCP transport library under Trinity's MCP server. It decides what a
// request without a good key or session gets (contract §4.4).
type Generation string

// The three generations that were observed. The zero value means the newest.
const (
	Proxy6_7_19 Generation = "mcp-proxy 6.7.19"
	Proxy6_5_1  Generation = "mcp-proxy 6.5.1"
	Proxy5_12_5 Generation = "mcp-proxy 5.12.5"
)

// Condition is how well one side is.
type Condition int

// The conditions a side can be in.
const (
	Healthy            Condition = iota
	Down                         // connections are refused: the listener is closed, and reopened on the same address afterwards
	Hanging                      // requests are read and never answered
	Slow                         // answers trickle out one byte per Switches.SlowInterval
	ServingHTML                  // every route answers 200 with the single-page app (contract §6)
	Redirecting                  // every route answers 302 to /login
	Failing                      // every route answers 500; the MCP side adds a stack trace
	EchoingCredentials           // every route answers 500 with the Authorization header in the body
)

// SecondFactor is what the enterprise build asks for after a good e-mail code (contract §1.6).
type SecondFactor int

// The second-factor policies.
const (
	SecondFactorOff      SecondFactor = iota // the open-source build: no second factor
	SecondFactorEnrolled                     // everybody has a second factor
	SecondFactorRequired                     // everybody must have one; who has not enrols while signing in
)

// SecondFactorCode is the one second-factor code that is right.
const SecondFactorCode = "246810"

// Switches are the behaviours that differ between versions or that a test wants to go wrong. The zero
// value is the newest Trinity in good health, as the contract describes it.
type Switches struct {
	// Backend and MCP are the condition of each side.
	Backend Condition
	MCP     Condition
	// SlowInterval is the time between two bytes of a side that is Slow; 0 means 10 ms.
	SlowInterval time.Duration

	// SetupRequired: first-run setup is not finished (§1.2).
	SetupRequired bool
	// EmailAuthDisabled: the operator turned e-mail sign-in off (§1.2).
	EmailAuthDisabled bool
	// OldAuthMode adds the extra members of the old GET /api/auth/mode (§1.1).
	OldAuthMode bool
	// OldEmailAnswers makes POST /api/auth/email/request tell a whitelisted address from another, and
	// answer 429 over the limit, as before issue #186 (§1.2).
	OldEmailAnswers bool
	// LogoutAbsent: no POST /api/auth/logout, and no jti in tokens, as in the old version (§1.8).
	LogoutAbsent bool
	// VerifyWithoutToken makes a good code answer 200 with neither token nor challenge.
	VerifyWithoutToken bool
	// SecondFactor asks for more after a good code; SecondFactorRoutes says whether the build has the
	// enterprise routes to answer with (§1.6).
	SecondFactor       SecondFactor
	SecondFactorRoutes bool
	// OldPasswordChallenge makes POST /token answer a challenge with 200, as before #2322 (§1.5).
	OldPasswordChallenge bool
	// NoAccountLockout, NoNetworkLockout and NoCodeLockout each turn one lockout off, as it is when
	// Trinity cannot reach its Redis (§1.3).
	NoAccountLockout bool
	NoNetworkLockout bool
	NoCodeLockout    bool
	// TrustForwardedFor takes the client address of the per-IP lockout from X-Forwarded-For, from any
	// peer, as the image's default command does (§1.4). Off, everybody behind the bridge is one address.
	TrustForwardedFor bool

	// MintNeedsJWT and RevokeNeedsJWT refuse MCP keys on the routes that make and end keys (§3.3).
	MintNeedsJWT   bool
	RevokeNeedsJWT bool
	// ValidateWithoutKeyID leaves key_id out of POST /api/mcp/validate, as the old version does (§3.2).
	ValidateWithoutKeyID bool

	// Generation of the MCP transport; empty means Proxy6_7_19 (§4.4).
	Generation Generation
	// AnonymousAllowed is MCP_REQUIRE_API_KEY=false: nobody is asked for a key and everybody acts as the
	// administrator (§4.3). A bridge must refuse to stand in front of that.
	AnonymousAllowed bool
	// MCPLeaksHeaders adds Set-Cookie and X-Api-Key to every answer of the MCP side.
	MCPLeaksHeaders bool
	// AdvertiseListChanged declares tools.listChanged at initialize. FastMCP does not declare it, though
	// it sends the notification.
	AdvertiseListChanged bool
}

const defaultSlowInterval = 10 * time.Millisecond

func (s Switches) slowInterval() time.Duration {
	if s.SlowInterval == 0 {
		return defaultSlowInterval
	}
	return s.SlowInterval
}

// switchboard holds the switches that are in force.
type switchboard struct {
	mu       sync.RWMutex
	switches Switches
}

func (b *switchboard) read() Switches {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.switches
}

func (b *switchboard) change(change func(*Switches)) Switches {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.switches)
	return b.switches
}
