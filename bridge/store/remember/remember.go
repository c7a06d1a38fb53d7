package remember

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	shardCount = 16
	perShard   = 1024 // grants; about a kilobyte each
)

// Store is a bridge.Store whose writes forget the copies they make old. Make one with New, in front
// of the engine, and let everybody write through it.
type Store struct {
	bridge.Store
	seed   maphash.Seed
	shards [shardCount]shard

	mu       sync.RWMutex
	watchers []func(grantID string)
}

var _ bridge.Store = (*Store)(nil)

// shard is a part of the copies. epoch counts what was forgotten: a read that began before must not
// bring back what it found.
type shard struct {
	mu     sync.RWMutex
	copies map[string]bridge.Grant
	epoch  uint64
}

// New puts a memory in front of an engine.
func New(engine bridge.Store) *Store {
	s := &Store{Store: engine, seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].copies = map[string]bridge.Grant{}
	}
	s.WatchGrants(s.heard)
	return s
}

// heard forgets what the engine says has changed, here or on another replica.
func (s *Store) heard(grantID string) {
	if grantID == "" {
		s.forgetAll()
		s.told("")
		return
	}
	s.changed(grantID)
}

// Watch has tell called with the id of each grant that has changed in more than its last use: before
// the write that changed it returns, within 2 s after another replica's. An empty id stands for every
// grant. It must not wait for anything.
func (s *Store) Watch(tell func(grantID string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, tell)
}

// View is the store with a Grant that answers from memory where it can.
type View struct{ *Store }

// Remembered returns the view for whoever reads grants all the time and changes nothing of what it
// gets: the slices and maps of a grant are shared.
func (s *Store) Remembered() View { return View{s} }

// Grant returns a grant in any state.
func (v View) Grant(ctx context.Context, id string) (bridge.Grant, error) {
	part := v.shard(id)
	part.mu.RLock()
	grant, ok := part.copies[id]
	epoch := part.epoch
	part.mu.RUnlock()
	if ok {
		return grant, nil
	}
	grant, err := v.Store.Grant(ctx, id) // the engine's
	if err == nil && grant.Live() {
		part.keep(grant, epoch)
	}
	return grant, err
}

func (s *Store) shard(id string) *shard {
	return &s.shards[maphash.String(s.seed, id)%shardCount]
}

// keep keeps a copy unless something was forgotten since epoch. A full shard loses any other one.
func (p *shard) keep(grant bridge.Grant, epoch uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch != epoch {
		return
	}
	if len(p.copies) >= perShard {
		for id := range p.copies {
			delete(p.copies, id)
			break
		}
	}
	p.copies[grant.ID] = grant
}

func (s *Store) forget(id string) {
	part := s.shard(id)
	part.mu.Lock()
	defer part.mu.Unlock()
	part.epoch++
	delete(part.copies, id)
}

// forgetAll is for a write that failed and may have been stored all the same, to who knows which grant.
func (s *Store) forgetAll() {
	for i := range s.shards {
		part := &s.shards[i]
		part.mu.Lock()
		part.epoch++
		clear(part.copies)
		part.mu.Unlock()
	}
}

// changed forgets a grant and says so.
func (s *Store) changed(id string) {
	s.forget(id)
	s.told(id)
}

func (s *Store) told(id string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, tell := range s.watchers {
		tell(id)
	}
}

// settle is changed for a write that says only afterwards which grant it was about, if any.
func (s *Store) settle(id string, err error) {
	if err != nil {
		s.forgetAll()
	}
	if id != "" {
		s.changed(id)
	}
}

// StartGrant forgets the grant.
func (s *Store) StartGrant(ctx context.Context, grant bridge.Grant, now time.Time) (bridge.Grant, error) {
	defer s.changed(grant.ID)
	return s.Store.StartGrant(ctx, grant, now)
}

// RedeemCode forgets the code's grant, which a replay ends.
func (s *Store) RedeemCode(ctx context.Context, use bridge.CodeUse, now time.Time) (bridge.CodeOutcome, bridge.Grant, error) {
	outcome, grant, err := s.Store.RedeemCode(ctx, use, now)
	s.settle(grant.ID, err)
	return outcome, grant, err
}

// RotateRefresh forgets the family's grant, which lapses later now, or has ended.
func (s *Store) RotateRefresh(ctx context.Context, use bridge.RefreshUse, now time.Time) (bridge.Rotation, error) {
	rotation, err := s.Store.RotateRefresh(ctx, use, now)
	s.settle(rotation.Grant.ID, err)
	return rotation, err
}

// TouchGrant forgets the grant and tells nobody.
func (s *Store) TouchGrant(ctx context.Context, id string, now time.Time) error {
	defer s.forget(id)
	return s.Store.TouchGrant(ctx, id, now)
}

// EndGrant forgets the grant.
func (s *Store) EndGrant(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error) {
	defer s.changed(id)
	return s.Store.EndGrant(ctx, id, reason, now)
}

// RevokeToken forgets the grant.
func (s *Store) RevokeToken(ctx context.Context, grantID, tokenID string, expires, now time.Time) error {
	defer s.changed(grantID)
	return s.Store.RevokeToken(ctx, grantID, tokenID, expires, now)
}

// EndLink forgets all grants: those of the link are known only afterwards.
func (s *Store) EndLink(ctx context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Link, []bridge.Grant, bool, error) {
	link, grants, ended, err := s.Store.EndLink(ctx, id, reason, now)
	s.severed(grants)
	return link, grants, ended, err
}

// EndUnlinked forgets all grants, if it ended any.
func (s *Store) EndUnlinked(ctx context.Context, now time.Time) ([]bridge.Grant, error) {
	grants, err := s.Store.EndUnlinked(ctx, now)
	if err != nil || len(grants) > 0 {
		s.severed(grants)
	}
	return grants, err
}

// UpdateIdentity forgets all grants: those that were cut down are not returned.
func (s *Store) UpdateIdentity(
	ctx context.Context, id string, now time.Time, change func(*bridge.IdentitySession) error,
) (bridge.IdentitySession, []bridge.Grant, error) {
	identity, grants, err := s.Store.UpdateIdentity(ctx, id, now, change)
	s.severed(grants)
	return identity, grants, err
}

// EndIdentity forgets all grants.
func (s *Store) EndIdentity(
	ctx context.Context, id string, reason bridge.EndReason, now time.Time,
) (bridge.IdentitySession, []bridge.Grant, bool, error) {
	identity, grants, ended, err := s.Store.EndIdentity(ctx, id, reason, now)
	s.severed(grants)
	return identity, grants, ended, err
}

// StartGeneration ends every grant.
func (s *Store) StartGeneration(ctx context.Context, now time.Time) (int, error) {
	defer s.forgetAll()
	return s.Store.StartGeneration(ctx, now)
}

// severed forgets all grants and tells of those that have ended.
func (s *Store) severed(ended []bridge.Grant) {
	s.forgetAll()
	for _, grant := range ended {
		s.changed(grant.ID)
	}
}
