package signed

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
)

const (
	// MaxID is the longest jti in bytes that is remembered.
	MaxID = 256
	// life is how far ahead the end of an assertion may be: each one is remembered so long.
	life = 5 * time.Minute
	// latestSecond keeps a time claim within what a time can be made of.
	latestSecond = 1 << 40
)

// Seconds is a time claim (RFC 7519 §2), which may have a fraction. A pointer tells none from zero.
type Seconds float64

// Time is the moment that is meant.
func (s Seconds) Time() time.Time {
	return time.Unix(int64(max(min(s, latestSecond), 0)), 0)
}

// Assertion are the claims by which somebody says something to one server, once and for a short while
// (RFC 7521 §5.1).
type Assertion struct {
	Issuer    string         `json:"iss"`
	Subject   string         `json:"sub"`
	Audience  jsontext.Value `json:"aud"`
	ID        string         `json:"jti"`
	ExpiresAt *Seconds       `json:"exp"`
	NotBefore *Seconds       `json:"nbf"`
	IssuedAt  *Seconds       `json:"iat"`
}

// CheckTimes says what is wrong with the id or the times at now, or returns nil. After nil, ExpiresAt is set.
func (a Assertion) CheckTimes(now time.Time) error {
	switch {
	case a.ID == "" || len(a.ID) > MaxID:
		return errors.New("it has no usable jti")
	case a.ExpiresAt == nil || !now.Before(a.ExpiresAt.Time()):
		return errors.New("it has expired or never does")
	case a.ExpiresAt.Time().After(now.Add(life + bridge.Leeway)):
		return fmt.Errorf("it is good for more than %s", life)
	case a.NotBefore != nil && a.NotBefore.Time().After(now.Add(bridge.Leeway)),
		a.IssuedAt != nil && a.IssuedAt.Time().After(now.Add(bridge.Leeway)):
		return errors.New("it is not yet valid")
	}
	return nil
}

// Recent reports whether it says that it was issued no longer ago than an assertion may live.
func (a Assertion) Recent(now time.Time) bool {
	return a.IssuedAt != nil && !a.IssuedAt.Time().Before(now.Add(-life-bridge.Leeway))
}

// For reports whether the one audience is meant and no other.
func (a Assertion) For(audience string) bool {
	named := Words(a.Audience)
	return len(named) == 1 && named[0] == audience && audience != ""
}

// Words reads a claim that is a text or a list of texts; anything else is nothing.
func Words(claim jsontext.Value) []string {
	var one string
	if json.Unmarshal(claim, &one) == nil {
		return []string{one}
	}
	var several []string
	if json.Unmarshal(claim, &several) != nil {
		return nil
	}
	return several
}
