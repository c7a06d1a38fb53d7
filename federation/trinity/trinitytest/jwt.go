package trinitytest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	jwtSecretBytes    = 32
	jwtLifetime       = 7 * 24 * time.Hour // fixed (contract §1.8)
	challengeLifetime = 5 * time.Minute    // contract §1.6
	challengeScope    = "mfa_challenge"
)

// claims are all a Trinity JWT says: no iss, aud, iat, e-mail or role (contract §1.8).
type claims struct {
	Subject string `json:"sub"`
	Expires int64  `json:"exp"` // Unix seconds
	Mode    string `json:"mode,omitzero"`
	ID      string `json:"jti,omitzero"`
	Scope   string `json:"scope,omitzero"` // set on every HS256 token that is not a session
}

// jwtHeader is {"alg":"HS256","typ":"JWT"}; a token with any other header is refused.
const jwtHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

func signJWT(secret []byte, c claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encoding JWT claims: %w", err)
	}
	signed := jwtHeader + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + jwtSignature(secret, signed), nil
}

// readJWT reports whether the token is signed with secret and has not expired.
func readJWT(secret []byte, token string, now time.Time) (claims, bool) {
	signed, signature, ok := cutLast(token, ".")
	if !ok || !hmac.Equal([]byte(signature), []byte(jwtSignature(secret, signed))) {
		return claims{}, false
	}
	header, payload, ok := strings.Cut(signed, ".")
	if !ok || header != jwtHeader {
		return claims{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return claims{}, false
	}
	var c claims
	if json.Unmarshal(raw, &c) != nil || now.Unix() >= c.Expires {
		return claims{}, false
	}
	return c, true
}

func jwtSignature(secret []byte, signed string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// issueJWT signs a user in. mode is "email" or "admin"; without an id the token cannot be logged out,
// as in versions that have no logout.
func (s *state) issueJWT(username, mode string, withID bool) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, err := s.randomText(16)
	if err != nil {
		return "", err
	}
	expires := s.now().Add(jwtLifetime)
	c := claims{Subject: username, Expires: expires.Unix(), Mode: mode}
	if withID {
		c.ID = id
	}
	token, err := signJWT(s.kept.JWTSecret, c)
	if err != nil {
		return "", err
	}
	s.kept.JWTs = slices.DeleteFunc(s.kept.JWTs, func(j issuedJWT) bool { return !s.now().Before(j.ExpiresAt) })
	s.kept.JWTs = append(s.kept.JWTs, issuedJWT{ID: id, Username: username, ExpiresAt: expires})
	return token, s.save()
}

// issueChallenge makes the token that carries a sign-in from its first factor to its second.
func (s *state) issueChallenge(username string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return signJWT(s.kept.JWTSecret, claims{
		Subject: username, Expires: s.now().Add(challengeLifetime).Unix(), Scope: challengeScope,
	})
}

// challenged returns whose sign-in a challenge token carries.
func (s *state) challenged(token string) (user, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := readJWT(s.kept.JWTSecret, token, s.now())
	if !ok || c.Scope != challengeScope {
		return user{}, false
	}
	u := s.userByName(c.Subject)
	if u == nil {
		return user{}, false
	}
	return *u, true
}

// session returns whom a token signs in, before any check of the account: signature, expiry, not another
// kind of token, not logged out.
func (s *state) session(token string) (user, bool) {
	c, ok := readJWT(s.kept.JWTSecret, token, s.now())
	if !ok || c.Scope != "" || s.isLoggedOut(c.ID) {
		return user{}, false
	}
	u := s.userByName(c.Subject)
	if u == nil {
		return user{}, false
	}
	return *u, true
}

func (s *state) isLoggedOut(id string) bool {
	for _, j := range s.kept.JWTs {
		if j.ID == id && j.LoggedOut {
			return true
		}
	}
	return false
}

// logOut ends a session token; a token that is unknown, expired or without an id is left alone.
func (s *state) logOut(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := readJWT(s.kept.JWTSecret, token, s.now())
	if !ok || c.ID == "" {
		return nil
	}
	for i := range s.kept.JWTs {
		if s.kept.JWTs[i].ID == c.ID {
			s.kept.JWTs[i].LoggedOut = true
		}
	}
	return s.save()
}

// liveJWTs counts the sign-ins that would still be accepted.
func (s *state) liveJWTs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, j := range s.kept.JWTs {
		if !j.LoggedOut && s.now().Before(j.ExpiresAt) {
			n++
		}
	}
	return n
}
