package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/dpop"
	"github.com/abilityai/trinity-bridge/bridge/gateway/carry"
	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// Tokens says what an access token means, at whichever resource. A token that means nothing is a
// *bridge.Error; any other error is the program's own trouble.
type Tokens interface {
	Read(presented secret.Token) (token.Access, error)
	// Revision changes whenever the keys do: what was good under another one is checked again.
	Revision() int
}

// Grants is the part of the store that a call needs.
type Grants interface {
	Grant(ctx context.Context, id string) (bridge.Grant, error)
	TouchGrant(ctx context.Context, id string, now time.Time) error
	EndGrant(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error)
}

// Credentials opens the key of a grant and asks what a grant or key is worth now.
type Credentials interface {
	// Open returns the key the grant's calls are made with; ErrNotFound when the operator has taken it back.
	Open(grant bridge.Grant) (secret.Token, error)
	Standing(ctx context.Context, grant bridge.Grant) bridge.Standing
	StandingOfKey(ctx context.Context, key secret.Token) bridge.Standing
}

// Options are what a gateway is made of. Fields without a default must be set.
type Options struct {
	Issuer   string   // the public origin; the resources are below it, one for each profile of Tools
	Upstream *url.URL // Trinity's MCP endpoint
	Origins  []string // browser origins let in beside the issuer's own, as a browser writes them
	// StaticKeysOff refuses Trinity's own keys: only access tokens are taken.
	StaticKeysOff bool
	// ListBeyondScope also lists tools that a connection would have to ask a wider scope for.
	ListBeyondScope bool
	// NoteCalls writes each call that is let through to the audit log.
	NoteCalls bool

	Tokens      Tokens
	Grants      Grants
	Credentials Credentials
	Tools       *tools.Catalogue
	Ring        *secret.Keyring
	Trail       *audit.Trail
	Log         *slog.Logger
	Now         func() time.Time

	// Extensions of MCP that the bridge serves beside those of the upstream.
	Extensions []string
	// Proofs checks DPoP proofs; nil: DPoP is off.
	Proofs *dpop.Checker
	// ProofsRequired refuses access tokens that are bound to no key. Static keys are none.
	ProofsRequired bool

	// Ready says why no call may go upstream yet, or nil; Probe.Ready is one.
	Ready func() error
	// Obtainable are the scopes that the grant's client could still be given to this person by asking
	// again; nil means all. Nobody is asked for a scope that will not be granted (RS-31).
	Obtainable func(ctx context.Context, grant bridge.Grant) bridge.Scopes
	// Barred reports whether the operator lets a client no longer in; nil means none is barred.
	Barred func(clientID string) bool
	// Ended is called when a grant was ended here; nil means nobody wants to know.
	Ended func()

	Transport http.RoundTripper // default: outbound.Transport, tuned to Node
	Limits    Limits            // zero fields get their default
}

// Limits are the bounds on a call. No client comes near the defaults.
type Limits struct {
	BodyBytes    int64         // of a POST; default 32 MiB, for deploy_local_agent carries archives
	BodyIdle     time.Duration // between two reads of a body; default 30 s
	BodyTotal    time.Duration // for a whole body; default 10 min
	AnswerWithin time.Duration // until the upstream begins to answer what needs no work; default 1 min
	CallWithin   time.Duration // the same for what may work for long; default 65 min
	Linger       time.Duration // how long a call goes on for a client that has left; default 10 min
	Recheck      time.Duration // how often a grant is read again while an answer lasts; default 15 s
	MessageBytes int64         // of an event or a document of the upstream; default 8 MiB
	StuckWithin  time.Duration // how long the upstream may leave a line or a document unfinished; default 5 min
	UnreadBytes  int64         // how much is read of an answer whose client has left; default 64 MiB
	ReaderStall  time.Duration // how long a client may take nothing of an answer; default 1 min
	Prime        time.Duration // silence after which a new stream gets its first comment; default 100 ms
	KeepAlive    time.Duration // silence after which a stream gets another comment; default 20 s
	TokenSlack   time.Duration // how long a listening stream outlives its token; default 1 min
	CallRate     rate.Limit    // of one grant, per second; default 200
	CallBurst    int           // of one grant, at once; default 5000, for clients that open their streams anew
}

func (l Limits) withDefaults() Limits {
	if l.BodyBytes == 0 {
		l.BodyBytes = 32 << 20
	}
	if l.MessageBytes == 0 {
		l.MessageBytes = 8 << 20
	}
	if l.UnreadBytes == 0 {
		l.UnreadBytes = 64 << 20
	}
	if l.CallRate == 0 {
		l.CallRate, l.CallBurst = 200, 5000
	}
	for _, d := range []struct {
		field    *time.Duration
		standard time.Duration
	}{
		{&l.BodyIdle, 30 * time.Second},
		{&l.BodyTotal, 10 * time.Minute},
		{&l.AnswerWithin, time.Minute},
		{&l.CallWithin, 65 * time.Minute},
		{&l.Linger, 10 * time.Minute},
		{&l.Recheck, 15 * time.Second},
		{&l.StuckWithin, 5 * time.Minute},
		{&l.ReaderStall, time.Minute},
		{&l.Prime, 100 * time.Millisecond},
		{&l.KeepAlive, 20 * time.Second},
		{&l.TokenSlack, time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.standard
		}
	}
	return l
}

// Gateway serves the MCP endpoints. Use New.
type Gateway struct {
	Options
	origins map[string]bool
	tokens  *tokenCache
	keys    *keyCache
	guesses *guesses
	drift   *tools.Drift
	lines   lines
	blank   *http.Request // what is the same in each request to the upstream
	buffers sync.Pool     // of *[bufferBytes]byte
	readers sync.Pool     // of *jsonrpc.Reader
	asking  sync.WaitGroup
	watches *watches
	carrier *carry.Upstream

	// life ends with Close; listening, its child, ends with Drain too.
	life, listening      context.Context
	endLife, endListener context.CancelCauseFunc
}

// lines are the values of fields that are the same in each request or answer. Nobody changes them.
type lines struct{ agent, accept, json, events, private, vary, noSniff []string }

func newLines() lines {
	return lines{
		agent: []string{"trinity-bridge"}, accept: []string{"application/json, text/event-stream"},
		json: []string{mediaJSON}, events: []string{mediaEvents},
		private: []string{"no-store, private"}, vary: []string{"Authorization, Origin"}, noSniff: []string{"nosniff"},
	}
}

// New makes a gateway.
func New(o Options) (*Gateway, error) {
	if o.Upstream == nil || o.Tokens == nil || o.Grants == nil || o.Credentials == nil || o.Tools == nil ||
		o.Ring == nil || o.Trail == nil || o.Log == nil || o.Now == nil || o.Ready == nil {
		return nil, errors.New("making the gateway: an option is missing")
	}
	o.Limits = o.Limits.withDefaults()
	if o.Transport == nil {
		o.Transport = defaultTransport()
	}
	g := &Gateway{
		Options: o,
		lines:   newLines(),
		blank:   &http.Request{URL: o.Upstream, Host: o.Upstream.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1},
		origins: map[string]bool{o.Issuer: true},
		drift:   tools.NewDrift(o.Log),
		buffers: sync.Pool{New: func() any { return new([bufferBytes]byte) }},
		readers: sync.Pool{New: func() any { return new(jsonrpc.Reader) }},
		watches: newWatches(),
		carrier: carry.New(carry.Options{URL: o.Upstream, Transport: o.Transport, Log: o.Log}),
	}
	for _, origin := range o.Origins {
		g.origins[origin] = true
	}
	var err error
	if g.tokens, err = newTokenCache(); err != nil {
		return nil, fmt.Errorf("making the gateway: %w", err)
	}
	if g.keys, err = newKeyCache(g.Limits); err != nil {
		return nil, fmt.Errorf("making the gateway: %w", err)
	}
	if g.guesses, err = newGuesses(); err != nil {
		return nil, fmt.Errorf("making the gateway: %w", err)
	}
	g.life, g.endLife = context.WithCancelCause(context.Background())
	g.listening, g.endListener = context.WithCancelCause(g.life)
	return g, nil
}

// defaultTransport lets go of idle connections before Node does, which is after five seconds: a POST
// that is on its way while the server closes is lost, and must not be sent again.
//
// It is net/http's own: one that reads and writes in the call's goroutine would be faster, but a mistake
// in how it reuses a connection hands one person's answer to another.
func defaultTransport() http.RoundTripper {
	transport := outbound.Transport()
	transport.IdleConnTimeout = 4 * time.Second
	return transport
}

// Drain ends the streams that only listen, and refuses new ones; calls go on.
func (g *Gateway) Drain() { g.endListener(errDraining) }

// Close ends everything that goes on, and whatever comes later. When it returns, nobody is being
// asked behind a call any more.
func (g *Gateway) Close() {
	g.endLife(errDraining)
	g.asking.Wait()
	g.carrier.Close()
	if idle, ok := g.Transport.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
}
