package gateway

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

// maxBlind is how many times in a row the store may fail to say whether a grant lives before what
// the grant has open is cut: not knowing is not a yes.
const maxBlind = 2

// vigil looks in on a call every Limits.Recheck while it lasts, and at once when its grant changes.
// Most calls are over before its first look and cost it a timer.
type vigil struct {
	x      *exchange
	cancel context.CancelCauseFunc
	since  time.Time

	watch      *watch // who keeps it
	prev, next *vigil // its neighbours there

	mu     sync.Mutex
	timer  *time.Timer
	over   bool
	answer *messages // what the upstream answers, once it does
	left   time.Time // when the client was first seen to be gone
	blind  int
}

// watch keeps the vigils of some grants in a ring, of which it holds the one that stands for none.
type watch struct {
	changes atomic.Uint64 // of these grants, as far as was told
	mu      sync.Mutex
	ring    vigil
}

// watches are all that goes on, spread so that calls seldom wait for each other here.
type watches struct {
	seed  maphash.Seed
	parts [16]watch
}

func newWatches() *watches {
	w := &watches{seed: maphash.MakeSeed()}
	for i := range w.parts {
		ring := &w.parts[i].ring
		ring.prev, ring.next = ring, ring
	}
	return w
}

func (w *watches) of(grantID string) *watch {
	return &w.parts[maphash.String(w.seed, grantID)%uint64(len(w.parts))]
}

// add reports whether nothing has changed since there were so many changes.
func (w *watch) add(v *vigil, changes uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.watch, v.prev, v.next = w, &w.ring, w.ring.next
	v.prev.next, v.next.prev = v, v
	return w.changes.Load() == changes
}

func (w *watch) remove(v *vigil) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v.prev.next, v.next.prev = v.next, v.prev
}

// GrantChanged looks at once at all that a grant has open here: what it may no longer have is cut
// (I10). An empty id stands for every grant. The look happens behind whoever changed the grant.
func (g *Gateway) GrantChanged(grantID string) {
	if grantID != "" {
		g.watches.of(grantID).look(grantID)
		if g.carrier.Has(grantID) {
			g.asking.Go(func() { g.endSessions(grantID) })
		}
		return
	}
	for i := range g.watches.parts {
		g.watches.parts[i].look("")
	}
}

func (w *watch) look(grantID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes.Add(1)
	for v := w.ring.next; v != &w.ring; v = v.next {
		if grantID == "" || v.x.who.grant.ID == grantID {
			go v.look()
		}
	}
}

func (x *exchange) watch(cancel context.CancelCauseFunc) *vigil {
	v := &vigil{x: x, cancel: cancel, since: time.Now()}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.timer = time.AfterFunc(x.g.Limits.Recheck, v.look)
	if w := x.who.watch; w != nil && !w.add(v, x.who.changes) {
		go v.look() // what the call was allowed by may have changed before anybody could be told
	}
	return v
}

// begun notes that the upstream has begun to answer.
func (v *vigil) begun(answer *messages) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = answer
}

// end stops the vigil. A look that is under way finishes, and changes nothing any more.
func (v *vigil) end() {
	if v.watch != nil {
		v.watch.remove(v)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over = true
	v.timer.Stop()
}

func (v *vigil) look() {
	grantErr := v.checkGrant()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over {
		return
	}
	if cause := v.judge(grantErr); cause != nil {
		v.cancel(cause)
		return
	}
	v.timer.Reset(v.x.g.Limits.Recheck)
}

// judge says why the call must end now, or nil.
func (v *vigil) judge(grantErr error) error {
	x, now, limits := v.x, time.Now(), v.x.g.Limits
	switch {
	case errors.Is(grantErr, errGrantEnded):
		return grantErr
	case grantErr != nil:
		v.blind++
	default:
		v.blind = 0
	}
	if v.blind >= maxBlind {
		return errGrantEnded
	}
	if x.listens() && !x.who.static && x.g.Now().After(x.who.known.access.ExpiresAt.Add(limits.TokenSlack)) {
		return errTokenExpired
	}
	patience := limits.CallWithin
	if x.quick() {
		patience = limits.AnswerWithin
	}
	if v.answer == nil && now.Sub(v.since) > patience {
		return errImpatient
	}
	if v.answer != nil && v.answer.stuckFor(now) > limits.StuckWithin {
		return errStuck
	}
	if x.r.Method == http.MethodPost && x.r.Context().Err() != nil {
		if v.left.IsZero() {
			v.left = now
		} else if now.Sub(v.left) > limits.Linger {
			return errLingered
		}
	}
	return nil
}

// checkGrant returns errGrantEnded when the caller's grant, token or client is no longer good, another error
// when that cannot be known, and nil otherwise. A static key is checked by Trinity on each request.
func (v *vigil) checkGrant() error {
	x := v.x
	if x.who.static {
		return nil
	}
	ctx, cancel := x.afterwards()
	defer cancel()
	grant, err := x.g.Grants.Grant(ctx, x.who.grant.ID)
	if errors.Is(err, bridge.ErrNotFound) {
		return errGrantEnded
	}
	if err != nil {
		return err
	}
	if grant.Mismatch(x.who.known.use(), x.g.Now()) != "" || x.g.Barred != nil && x.g.Barred(grant.ClientID) {
		return errGrantEnded
	}
	if x.listens() {
		x.askForStream()
	}
	return nil
}
