package carry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	maxPerOwner = 32   // sessions at a time, each with a call or idle
	maxSessions = 4096 // of all owners together
	maxIdle     = 4    // kept of an owner; a burst leaves more behind
	endWithin   = 5 * time.Second
)

// ErrBusy is for an owner with too many calls at once, or all of them together.
var ErrBusy = errors.New("too many sessions with the upstream are in use")

// Session is a session with the upstream, lent to one call.
type Session struct {
	ID    string // "" when the upstream gave none
	Hello Hello
	// Used says that it has served a call before, so that the upstream may have forgotten it.
	Used bool
	// Logs says that the upstream was asked to tell what it logs.
	Logs bool

	from  *Upstream
	who   Owner
	owner *owned
	since time.Time // it has been idle
}

// owned is what an owner has.
type owned struct {
	live int        // sessions, in use or idle
	idle []*Session // the one used last is at the end
}

func (s *Session) header() http.Header {
	h := http.Header{"Mcp-Protocol-Version": {s.Hello.Version}}
	if s.ID != "" {
		h["Mcp-Session-Id"] = []string{s.ID}
	}
	return h
}

// Take lends a session that nobody uses: an idle one of the owner, or a new one.
func (u *Upstream) Take(ctx context.Context, who Owner) (*Session, error) {
	owner, s, err := u.reserve(who)
	if s != nil || err != nil {
		return s, err
	}
	return u.open(ctx, who, owner)
}

// Renew lends a new session in the place of one that the upstream has forgotten.
func (u *Upstream) Renew(ctx context.Context, s *Session) (*Session, error) {
	u.Forget() // what forgets its sessions may have been replaced
	return u.open(ctx, s.who, s.owner)
}

// reserve takes an idle session, or counts one that is to be opened.
func (u *Upstream) reserve(who Owner) (*owned, *Session, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	owner := u.owners[who.ID]
	if owner == nil {
		owner = &owned{}
		u.owners[who.ID] = owner
	}
	if last := len(owner.idle) - 1; last >= 0 {
		s := owner.idle[last]
		owner.idle = owner.idle[:last]
		s.Used, s.who = true, who
		return owner, s, nil
	}
	if u.closed || owner.live >= maxPerOwner || u.live >= maxSessions {
		u.forgetOwner(who.ID, owner)
		return nil, nil, ErrBusy
	}
	owner.live++
	u.live++
	return owner, nil, nil
}

func (u *Upstream) open(ctx context.Context, who Owner, owner *owned) (*Session, error) {
	s, err := u.handshake(ctx, who)
	if err != nil {
		u.Forget()
		u.release(&Session{who: who, owner: owner})
		return nil, err
	}
	s.owner = owner
	return s, nil
}

// Done gives a session back. One that is not good any more, or whose owner has ended, is ended.
func (s *Session) Done(good bool) {
	u := s.from
	u.mu.Lock()
	if good && !u.closed && u.owners[s.who.ID] == s.owner && len(s.owner.idle) < maxIdle {
		s.since = time.Now()
		s.owner.idle = append(s.owner.idle, s)
		if u.timer == nil {
			u.timer = time.AfterFunc(u.IdleFor, u.sweep)
		}
		u.mu.Unlock()
		return
	}
	u.mu.Unlock()
	u.release(s)
	u.endBehind(s)
}

// release counts a session that is no more.
func (u *Upstream) release(s *Session) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.live--
	s.owner.live--
	u.forgetOwner(s.who.ID, s.owner)
}

func (u *Upstream) forgetOwner(id string, owner *owned) {
	if owner.live == 0 && u.owners[id] == owner {
		delete(u.owners, id)
	}
}

// Has reports whether an owner has sessions.
func (u *Upstream) Has(ownerID string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.owners[ownerID] != nil
}

// End ends the sessions of an owner: the idle ones now, those in use when their call is over.
func (u *Upstream) End(ownerID string) {
	u.mu.Lock()
	owner := u.owners[ownerID]
	if owner == nil {
		u.mu.Unlock()
		return
	}
	delete(u.owners, ownerID)
	idle := owner.idle
	owner.idle = nil
	owner.live -= len(idle)
	u.live -= len(idle)
	u.mu.Unlock()
	for _, s := range idle {
		u.endBehind(s)
	}
}

// sweep ends what was idle for too long.
func (u *Upstream) sweep() {
	var old []*Session
	u.mu.Lock()
	next := time.Duration(0)
	for id, owner := range u.owners {
		kept := owner.idle[:0]
		for _, s := range owner.idle {
			left := u.IdleFor - time.Since(s.since)
			if left <= 0 {
				old = append(old, s)
				continue
			}
			kept = append(kept, s)
			if next == 0 || left < next {
				next = left
			}
		}
		owner.live -= len(owner.idle) - len(kept)
		u.live -= len(owner.idle) - len(kept)
		clear(owner.idle[len(kept):])
		owner.idle = kept
		u.forgetOwner(id, owner)
	}
	u.timer = nil
	if next > 0 {
		u.timer = time.AfterFunc(next, u.sweep)
	}
	u.mu.Unlock()
	for _, s := range old {
		u.endBehind(s)
	}
}

// Close ends all idle sessions and keeps none any more. It returns when the upstream has been told.
func (u *Upstream) Close() {
	u.mu.Lock()
	u.closed = true
	if u.timer != nil {
		u.timer.Stop()
	}
	var idle []*Session
	for _, owner := range u.owners {
		idle = append(idle, owner.idle...)
		owner.live -= len(owner.idle)
		u.live -= len(owner.idle)
		owner.idle = nil
	}
	clear(u.owners)
	u.mu.Unlock()
	var telling sync.WaitGroup
	for _, s := range idle {
		telling.Go(func() { u.end(s) })
	}
	telling.Wait()
	u.ending.Wait()
}

// endBehind ends a session while its caller goes on. Close waits for those that were idle.
func (u *Upstream) endBehind(s *Session) {
	u.mu.Lock()
	closed := u.closed
	u.mu.Unlock()
	if closed {
		go u.end(s)
		return
	}
	u.ending.Go(func() { u.end(s) })
}

// end tells the upstream that a session is over. An upstream that cannot be told will find out.
func (u *Upstream) end(s *Session) {
	if s.ID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	res, err := u.send(ctx, http.MethodDelete, s.who, s.header(), "")
	if err != nil {
		u.Log.DebugContext(ctx, "a session of the upstream was not ended", "error", err)
		return
	}
	drop(res)
}

// Tell sends the upstream a message about the call in the session: an answer to a request of its own,
// or that the call was withdrawn.
func (s *Session) Tell(ctx context.Context, message string) error {
	ctx, cancel := context.WithTimeout(ctx, endWithin)
	defer cancel()
	res, err := s.from.send(ctx, http.MethodPost, s.who, s.header(), message)
	if err != nil {
		return fmt.Errorf("telling the upstream: %w", err)
	}
	drop(res)
	return nil
}
