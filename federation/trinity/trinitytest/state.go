package trinitytest

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// The roles, ascending: user, operator, creator, admin (contract §2). Only these two differ here.
const (
	roleUser  = "user"
	roleAdmin = "admin"
)

var roles = []string{roleUser, "operator", "creator", roleAdmin}

// user is one account.
type user struct {
	ID        int    `json:"id"`
	Username  string `json:"username"`
	Email     string `json:"email"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	Suspended bool   `json:"suspended"`
	// SecondFactor: the account has enrolled while signing in.
	SecondFactor bool `json:"second_factor"`
}

// issuedJWT is one session token that was handed out.
type issuedJWT struct {
	ID        string    `json:"jti"`
	Username  string    `json:"username"`
	ExpiresAt time.Time `json:"expires_at"`
	LoggedOut bool      `json:"logged_out"`
}

// state is everything the backend knows. What is in kept survives a restart, if there is a state file.
type state struct {
	now  func() time.Time
	rand io.Reader
	file string

	mu        sync.Mutex
	kept      keptState
	passwords map[string]string // by username
	codes     codebook
	lockouts  lockouts
	recovery  map[string][]string // unused recovery codes by username
}

// keptState is the content of the state file.
type keptState struct {
	Version   int               `json:"version"`
	JWTSecret []byte            `json:"jwt_secret"`
	Users     []user            `json:"users"`     // the id is the place in the list plus one
	Whitelist map[string]string `json:"whitelist"` // e-mail address to the role of a first sign-in
	Keys      []apiKey          `json:"keys"`      // oldest first
	JWTs      []issuedJWT       `json:"jwts"`      // those that have not expired
}

func newState(o Options) (*state, error) {
	s := &state{
		now:       o.Now,
		rand:      o.Rand,
		file:      o.StateFile,
		passwords: make(map[string]string),
		codes:     newCodebook(),
		lockouts:  newLockouts(),
		recovery:  make(map[string][]string),
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if s.kept.Whitelist == nil {
		s.kept.Whitelist = make(map[string]string)
	}
	for _, p := range o.People {
		if err := s.addPerson(p); err != nil {
			return nil, err
		}
	}
	if len(s.kept.JWTSecret) == 0 {
		s.kept.JWTSecret = make([]byte, jwtSecretBytes)
		if _, err := io.ReadFull(s.rand, s.kept.JWTSecret); err != nil {
			return nil, fmt.Errorf("making the simulated Trinity's JWT secret: %w", err)
		}
	}
	return s, s.save()
}

// addPerson makes an account unless the state file knows it.
func (s *state) addPerson(p Person) error {
	email := strings.ToLower(p.Email)
	username := cmp.Or(p.Username, email)
	role := cmp.Or(p.Role, roleUser)
	if !strings.Contains(email, "@") || !slices.Contains(roles, role) {
		return fmt.Errorf("person %q: want an e-mail address and one of the roles %s", username, strings.Join(roles, ", "))
	}
	if p.Password != "" {
		s.passwords[username] = p.Password
	}
	if s.userByName(username) != nil {
		return nil
	}
	s.kept.Whitelist[email] = role
	s.addUser(username, email, p.Name, role)
	return nil
}

func (s *state) addUser(username, email, name, role string) *user {
	s.kept.Users = append(s.kept.Users, user{
		ID: len(s.kept.Users) + 1, Username: username, Email: email, Name: name, Role: role,
	})
	return &s.kept.Users[len(s.kept.Users)-1]
}

// userByName returns nil for an unknown username. The pointer is good while mu is held.
func (s *state) userByName(username string) *user {
	return s.findUser(func(u user) bool { return u.Username == username })
}

// userByEmail finds the account that an address signs in to.
func (s *state) userByEmail(email string) *user {
	return s.findUser(func(u user) bool { return u.Email == email })
}

func (s *state) findUser(match func(user) bool) *user {
	i := slices.IndexFunc(s.kept.Users, match)
	if i < 0 {
		return nil
	}
	return &s.kept.Users[i]
}

var errUnknownUser = errors.New("no such Trinity user")

// changeUser applies an operator's change and stores it.
func (s *state) changeUser(username string, change func(*user)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.userByName(username)
	if u == nil {
		return fmt.Errorf("changing %q: %w", username, errUnknownUser)
	}
	change(u)
	return s.save()
}

// setWhitelisted lets an address in with a role, or, with no role, keeps it out.
func (s *state) setWhitelisted(email, role string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	email = strings.ToLower(email)
	if role == "" {
		delete(s.kept.Whitelist, email)
	} else {
		s.kept.Whitelist[email] = role
	}
	return s.save()
}

// whitelisted reports whether mail may go to an address.
func (s *state) whitelisted(email string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.kept.Whitelist[email]
	return ok
}

// randomText is n random bytes in base64url without padding.
func (s *state) randomText(n int) (string, error) {
	raw := make([]byte, n)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// administrator is the username of the first administrator, or "".
func (s *state) administrator() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.findUser(func(u user) bool { return u.Role == roleAdmin }); u != nil {
		return u.Username
	}
	return ""
}
