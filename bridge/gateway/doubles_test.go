package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// grants is a store of grants that can fail.
type grants struct {
	mu       sync.Mutex
	rows     map[string]bridge.Grant
	err      error
	touched  []string
	reads    int
	touching chan struct{} // a note of use waits for it; nil waits for nothing
}

func newGrants() *grants { return &grants{rows: map[string]bridge.Grant{}} }

func (s *grants) put(g bridge.Grant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[g.ID] = g
}

func (s *grants) change(id string, change func(*bridge.Grant)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.rows[id]
	change(&g)
	s.rows[id] = g
}

func (s *grants) get(id string) bridge.Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[id]
}

func (s *grants) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rows, id)
}

func (s *grants) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *grants) Grant(_ context.Context, id string) (bridge.Grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.err != nil {
		return bridge.Grant{}, s.err
	}
	g, ok := s.rows[id]
	if !ok {
		return bridge.Grant{}, bridge.ErrNotFound
	}
	return g, nil
}

func (s *grants) TouchGrant(_ context.Context, id string, now time.Time) error {
	if s.touching != nil {
		<-s.touching
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.touched = append(s.touched, id)
	g := s.rows[id]
	g.LastUsedAt = now
	s.rows[id] = g
	return s.err
}

func (s *grants) EndGrant(_ context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return bridge.Grant{}, false, s.err
	}
	g := s.rows[id]
	if g.Status == bridge.GrantEnded {
		return g, false, nil
	}
	g.Status, g.EndReason, g.EndedAt = bridge.GrantEnded, reason, now
	s.rows[id] = g
	return g, true, nil
}

// keyring opens keys and says, in Trinity's place, what they are worth.
type keyring struct {
	mu       sync.Mutex
	keys     map[string]secret.Token    // by grant
	of       map[string]bridge.Standing // by grant or by key
	standing bridge.Standing            // of whatever is not in of
	opened   int
	asked    int
	held     chan struct{} // answers wait for it
}

// hold keeps answers back until release is called.
func (c *keyring) hold() (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := make(chan struct{})
	c.held = held
	return func() { close(held) }
}

func (c *keyring) set(grant, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keys[grant] = secret.New(key)
}

func (c *keyring) say(what string, standing bridge.Standing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if what == "" {
		c.standing = standing
		return
	}
	c.of[what] = standing
}

func (c *keyring) counts() (opened, asked int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened, c.asked
}

func (c *keyring) Open(grant bridge.Grant) (secret.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opened++
	key, ok := c.keys[grant.ID]
	if !ok {
		return secret.Token{}, secret.ErrOpen
	}
	return key, nil
}

func (c *keyring) Standing(_ context.Context, grant bridge.Grant) bridge.Standing {
	return c.worth(grant.ID)
}

func (c *keyring) StandingOfKey(_ context.Context, key secret.Token) bridge.Standing {
	return c.worth(key.Reveal())
}

func (c *keyring) worth(what string) bridge.Standing {
	c.mu.Lock()
	held := c.held
	c.mu.Unlock()
	if held != nil {
		<-held
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if standing, ok := c.of[what]; ok {
		return standing
	}
	return c.standing
}

type auditStore struct {
	mu     sync.Mutex
	events []bridge.AuditEvent
}

func (s *auditStore) AppendAudit(_ context.Context, events []bridge.AuditEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
	return nil
}

func (s *auditStore) AuditTrail(context.Context, string, int) ([]bridge.AuditEvent, error) {
	return nil, nil
}

// wantLogged waits for words in the log: what is told of an answer may be told after it left.
func (w *world) wantLogged(t testing.TB, words ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("words %q in the log", words), func() bool {
		log := w.logs.String()
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(log, word) })
	})
}

// wantAudit checks that the trail holds exactly these "kind outcome" lines since the last look. It waits for as many: an
// answer may be there before what is told of it.
func (w *world) wantAudit(t testing.TB, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("audit events %q", want), func() bool {
		w.trail.Flush(t.Context())
		w.audit.mu.Lock()
		defer w.audit.mu.Unlock()
		return len(w.audit.events) >= len(want)
	})
	w.audit.mu.Lock()
	defer w.audit.mu.Unlock()
	got := []string{}
	for _, event := range w.audit.events {
		got = append(got, event.Kind+" "+event.Outcome)
		if text := fmt.Sprintf("%+v", event); strings.Contains(text, "canary") {
			t.Errorf("the audit trail holds what it must not: %s", text)
		}
	}
	w.audit.events = nil
	if !slices.Equal(got, append([]string{}, want...)) {
		t.Errorf("audit trail %q, want %q", got, want)
	}
}

type signingKeys struct {
	mu   sync.Mutex
	keys []bridge.SigningKey
}

func (s *signingKeys) SigningKeys(context.Context) ([]bridge.SigningKey, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys, len(s.keys), nil
}

func (s *signingKeys) SwapSigningKeys(_ context.Context, keys []bridge.SigningKey, _ int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = keys
	return nil
}

type readiness struct {
	mu  sync.Mutex
	why error
}

func (r *readiness) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.why
}

func (r *readiness) set(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.why = why
}
