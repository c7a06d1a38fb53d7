package trinitytest

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The limits of contract §1.2.
const (
	codeLifetime   = 10 * time.Minute
	codesPerWindow = 3
	codeWindow     = 10 * time.Minute
)

// codebook holds the sign-in codes by e-mail address. Several may be live at once.
type codebook struct {
	live map[string][]signInCode
	sent map[string][]time.Time // within the last codeWindow
	last map[string]string      // for tests: the newest code
}

type signInCode struct {
	code    string
	expires time.Time
}

func newCodebook() codebook {
	return codebook{
		live: make(map[string][]signInCode),
		sent: make(map[string][]time.Time),
		last: make(map[string]string),
	}
}

// sendCode makes a code for an address; sent is false over the limit. Whether the address may sign in is
// the caller's question.
func (s *state) sendCode(email string) (code string, sent bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	recent := slices.DeleteFunc(s.codes.sent[email], func(at time.Time) bool { return now.Sub(at) >= codeWindow })
	if len(recent) >= codesPerWindow {
		s.codes.sent[email] = recent
		return "", false, nil
	}
	var raw [8]byte
	if _, err := io.ReadFull(s.rand, raw[:]); err != nil {
		return "", false, fmt.Errorf("making a sign-in code: %w", err)
	}
	code = fmt.Sprintf("%06d", binary.BigEndian.Uint64(raw[:])%1_000_000)
	s.codes.sent[email] = append(recent, now)
	s.codes.live[email] = append(s.liveCodes(email), signInCode{code, now.Add(codeLifetime)})
	s.codes.last[email] = code
	return code, true, nil
}

func (s *state) liveCodes(email string) []signInCode {
	now := s.now()
	return slices.DeleteFunc(s.codes.live[email], func(c signInCode) bool { return !now.Before(c.expires) })
}

// spendCode uses a code up and returns the account it signs in to, made now if this is the first time.
// A code of an address that has left the whitelist is as good as a wrong one (contract §1.3).
func (s *state) spendCode(email, code string) (u user, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := s.liveCodes(email)
	i := slices.IndexFunc(live, func(c signInCode) bool {
		return subtle.ConstantTimeCompare([]byte(c.code), []byte(code)) == 1
	})
	role, welcome := s.kept.Whitelist[email]
	if i < 0 || !welcome {
		return user{}, false, nil
	}
	s.codes.live[email] = slices.Delete(live, i, i+1)
	if known := s.userByEmail(email); known != nil {
		return *known, true, nil
	}
	return *s.addUser(email, email, nameOf(email), role), true, s.save()
}

func nameOf(email string) string {
	name, _, _ := strings.Cut(email, "@")
	return name
}

func (s *state) lastCode(email string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.codes.last[strings.ToLower(email)]
}
