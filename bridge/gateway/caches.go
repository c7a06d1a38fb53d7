package gateway

import (
	"bytes"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/token"
)

const (
	maxTokens  = 16384 // verified tokens kept, about a kilobyte each
	maxRefused = 4096  // refused ones
	maxKeys    = 8192  // opened keys kept
)

// tokenCache keeps what verified tokens say, and which were refused, those by their hash: a signature
// costs a hundred times as much as looking here. Whether the grant lives is not its business.
type tokenCache struct {
	known   *lru.Cache[secret.Token, *verified]
	refused *lru.Cache[bridge.Hash, refusedToken]
}

// refusedToken is a token that meant nothing. It goes on to mean nothing while the keys are the same,
// but for one that begins later, which waits as long as a verified one is believed.
type refusedToken struct {
	revision int
	again    time.Time
	why      error
}

// verified is what a token said when it was last checked. It is checked again when the signing keys
// have changed, for one that was dropped verifies nothing any more (RS-23), and every minute all the same (I10).
type verified struct {
	access   token.Access
	revision int // of the signing keys
	again    time.Time

	// What was found out on an earlier call with it. Each is compared with the grant and the request
	// before it is used, so that it saves work and decides nothing.
	person  atomic.Pointer[bridge.Person]
	key     atomic.Pointer[upstreamKey]
	session atomic.Pointer[openedSession]
}

// use is what the token says of its grant.
func (v *verified) use() bridge.TokenUse {
	use := v.access.Use()
	if person := v.person.Load(); person != nil {
		use.Person = *person
	}
	return use
}

// fits notes that the token is the grant's.
func (v *verified) fits(grant *bridge.Grant) {
	if v.person.Load() == nil {
		person := grant.Person
		v.person.Store(&person)
	}
}

const verifiedFor = time.Minute

func newTokenCache() (*tokenCache, error) {
	known, err := lru.New[secret.Token, *verified](maxTokens)
	if err != nil {
		return nil, err
	}
	refused, err := lru.New[bridge.Hash, refusedToken](maxRefused)
	return &tokenCache{known: known, refused: refused}, err
}

// check says what a token means at resource. A token of another resource stays known: who shows it here
// must not make its own calls cost a signature.
func (c *tokenCache) check(tokens Tokens, presented secret.Token, resource string, now time.Time) (*verified, error) {
	v, err := c.read(tokens, presented, now)
	if err == nil {
		err = v.access.At(resource)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// read is tokens.Read with a memory. A token that has expired since is read again, and that says so.
func (c *tokenCache) read(tokens Tokens, presented secret.Token, now time.Time) (*verified, error) {
	revision := tokens.Revision() // taken first: a rotation meanwhile makes the entry old
	if v, ok := c.known.Get(presented); ok && v.revision == revision && now.Before(v.again) && now.Before(v.access.ExpiresAt) {
		return v, nil
	}
	hash := presented.Hash()
	if r, ok := c.refused.Get(hash); ok && r.revision == revision && now.Before(r.again) {
		return nil, r.why
	}
	access, err := readFormed(tokens, presented)
	if err != nil {
		c.known.Remove(presented)
		if bridge.AsError(err) != nil { // not for trouble of the program's own
			c.refused.Add(hash, refusedToken{revision: revision, again: now.Add(verifiedFor), why: err})
		}
		return nil, err
	}
	v := &verified{access: access, revision: revision, again: now.Add(verifiedFor)}
	c.known.Add(presented, v)
	return v, nil
}

// readFormed is tokens.Read for what has the form of a token.
func readFormed(tokens Tokens, presented secret.Token) (token.Access, error) {
	if !token68(presented.Reveal()) {
		return token.Access{}, &bridge.Error{
			Code: "invalid_token", Status: http.StatusUnauthorized, Cause: errors.New("not the form of a token"),
		}
	}
	return tokens.Read(presented)
}

// upstreamKey is an opened key in the forms it is used in.
type upstreamKey struct {
	token         secret.Token
	authorization []string // the field's value on the way to the upstream
	bytes         []byte   // what is looked for on the way back
	sealed        []byte   // what it was opened from
	touched       atomic.Int64
	word          atomic.Pointer[word] // what was last said of the grant
	asking        atomic.Bool
	calls         *rate.Limiter // of the grant; nil for a static key, whose calls are Trinity's to bound
}

// mayCall counts a call, and reports whether there may be one more now.
func (k *upstreamKey) mayCall(now time.Time) bool { return k.calls == nil || k.calls.AllowN(now, 1) }

func newUpstreamKey(key secret.Token, sealed []byte) *upstreamKey {
	return &upstreamKey{token: key, authorization: []string{"Bearer " + key.Reveal()}, bytes: []byte(key.Reveal()), sealed: sealed}
}

// touch reports whether the last time it said yes is at least every ago.
func (k *upstreamKey) touch(now time.Time, every time.Duration) bool {
	last := k.touched.Load()
	return now.Unix()-last >= int64(every/time.Second) && k.touched.CompareAndSwap(last, now.Unix())
}

// keyCache keeps the opened keys of grants in use. An entry serves only as long as the grant's
// sealed key is the one it was opened from.
type keyCache struct {
	opened *lru.Cache[string, *upstreamKey]
	calls  func() *rate.Limiter
}

func newKeyCache(limits Limits) (*keyCache, error) {
	opened, err := lru.New[string, *upstreamKey](maxKeys)
	return &keyCache{opened: opened, calls: func() *rate.Limiter { return rate.NewLimiter(limits.CallRate, limits.CallBurst) }}, err
}

// openFor is open with what is remembered with the token.
func (c *keyCache) openFor(v *verified, credentials Credentials, grant bridge.Grant) (*upstreamKey, error) {
	if key := v.key.Load(); key != nil && bytes.Equal(key.sealed, grant.Credential.Sealed) {
		return key, nil
	}
	key, err := c.open(credentials, grant)
	if err == nil {
		v.key.Store(key)
	}
	return key, err
}

func (c *keyCache) open(credentials Credentials, grant bridge.Grant) (*upstreamKey, error) {
	sealed := grant.Credential.Sealed
	if key, ok := c.opened.Get(grant.ID); ok && bytes.Equal(key.sealed, sealed) {
		return key, nil
	}
	opened, err := credentials.Open(grant)
	if err != nil {
		return nil, err
	}
	key := newUpstreamKey(opened, bytes.Clone(sealed))
	key.calls = c.calls()
	c.opened.Add(grant.ID, key)
	return key, nil
}
