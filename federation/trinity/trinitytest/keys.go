package trinitytest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The key scopes of contract §3.4. A key may carry any text; a scope not named here reaches nothing.
const (
	scopeUser      = "user"
	scopeAgent     = "agent"
	scopeSystem    = "system"
	scopeConnector = "connector"
	scopeDelegate  = "portal_delegate"
	scopeOps       = "ops"
)

const (
	keyPrefix        = "trinity_mcp_"
	keyRandomBytes   = 32 // 43 characters, 55 with the prefix (contract §3.1)
	keyIDRandomBytes = 16 // 22 characters
	shownKeyPrefix   = 20 // characters of a key that lists show
)

// apiKey is one row of Trinity's key table. The key itself is kept as its unsalted SHA-256 only.
type apiKey struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description *string   `json:"description"`
	Hash        string    `json:"hash"` // SHA-256 in hex
	Prefix      string    `json:"prefix"`
	Owner       string    `json:"owner"` // username
	OwnerEmail  string    `json:"owner_email"`
	AgentName   string    `json:"agent_name"`
	Scope       string    `json:"scope"`
	Active      bool      `json:"active"`
	CreatedAt   time.Time `json:"created_at"`
	LastUsedAt  time.Time `json:"last_used_at"` // zero: never
	UsageCount  int       `json:"usage_count"`
}

// newKey is what the maker of a key says about it.
type newKey struct {
	name, scope, agentName string
	description            *string
}

// mintKey makes a key for a user and returns its row and, this once, the key.
func (s *state) mintKey(owner string, n newKey) (row apiKey, key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.userByName(owner)
	if u == nil {
		return apiKey{}, "", fmt.Errorf("making a key for %q: %w", owner, errUnknownUser)
	}
	secret, err := s.randomText(keyRandomBytes)
	if err != nil {
		return apiKey{}, "", err
	}
	id, err := s.randomText(keyIDRandomBytes)
	if err != nil {
		return apiKey{}, "", err
	}
	key = keyPrefix + secret
	row = apiKey{
		ID: id, Name: n.name, Description: n.description, Hash: hashKey(key), Prefix: key[:shownKeyPrefix],
		Owner: u.Username, OwnerEmail: u.Email, AgentName: n.agentName, Scope: n.scope,
		Active: true, CreatedAt: s.now().UTC(),
	}
	s.kept.Keys = append(s.kept.Keys, row)
	return row, key, s.save()
}

func hashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// validateKey is what POST /api/mcp/validate knows: hash and activity, not whether the owner is
// suspended (contract §3.4). It counts the use; counts reach the state file with the next change.
func (s *state) validateKey(key string) (row apiKey, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.activeKey(key)
	if k == nil {
		return apiKey{}, false
	}
	k.LastUsedAt = s.now().UTC()
	k.UsageCount++
	return *k, true
}

func (s *state) activeKey(key string) *apiKey {
	hash := hashKey(key)
	return s.findKey(func(k apiKey) bool { return k.Active && k.Hash == hash })
}

func (s *state) findKey(match func(apiKey) bool) *apiKey {
	i := slices.IndexFunc(s.kept.Keys, match)
	if i < 0 {
		return nil
	}
	return &s.kept.Keys[i]
}

// keyOwner resolves a key to its owner, by e-mail first, then by username (contract §2).
func (s *state) keyOwner(k apiKey) *user {
	if u := s.userByEmail(k.OwnerEmail); u != nil {
		return u
	}
	return s.userByName(k.Owner)
}

// listKeys returns the rows that match, oldest first.
func (s *state) listKeys(match func(apiKey) bool) []apiKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := []apiKey{}
	for _, k := range s.kept.Keys {
		if match(k) {
			rows = append(rows, k)
		}
	}
	return rows
}

var errUnknownKey = errors.New("no such key")

// revokeKey makes a key inactive; its row stays.
func (s *state) revokeKey(owner, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.findKey(ownKey(owner, id))
	if k == nil {
		return errUnknownKey
	}
	k.Active = false
	return s.save()
}

// deleteKey removes a key's row.
func (s *state) deleteKey(owner, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.findKey(ownKey(owner, id)) == nil {
		return errUnknownKey
	}
	s.kept.Keys = slices.DeleteFunc(s.kept.Keys, ownKey(owner, id))
	return s.save()
}

func ownKey(owner, id string) func(apiKey) bool {
	return func(k apiKey) bool { return k.ID == id && k.Owner == owner }
}
