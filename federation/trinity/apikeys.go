package trinity

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// MintedKey is a new trinity_mcp_ key. What Trinity made is there beside an error as well, so that
// it can be revoked.
type MintedKey struct {
	ID   string
	Name string
	Key  secret.Token
}

// MintKey makes a key of scope user for the person of the session.
func (a *API) MintKey(ctx context.Context, session secret.Token, name, description string) (MintedKey, error) {
	const doing = "minting a key at Trinity"
	answer, err := a.do(ctx, request{
		method: http.MethodPost, path: "/api/mcp/keys", credential: session,
		body: map[string]string{"name": name, "description": description, "scope": "user"},
	})
	if err != nil {
		return MintedKey{}, wrap(doing, err)
	}
	var body struct {
		ID    string `json:"id"`
		Scope string `json:"scope"`
		Key   string `json:"api_key"`
	}
	if err := read(answer, &body); err != nil {
		return MintedKey{}, wrap(doing, err)
	}
	if !keyIDForm.MatchString(body.ID) {
		return MintedKey{}, fmt.Errorf("%s: %w: no key id", doing, ErrUnavailable)
	}
	key, err := secret.ParseTrinityKey(body.Key)
	minted := MintedKey{ID: body.ID, Name: name, Key: key}
	if err != nil || body.Scope != "user" {
		return minted, fmt.Errorf("%s: %w: no key of the form and scope asked for", doing, ErrUnavailable)
	}
	return minted, nil
}

// RevokeKey removes a key; bearer is its owner's session or the key itself. A key that Trinity
// does not know is revoked already. ErrForbidden: only the person's own session may do it.
// ErrUnauthorized says nothing about the key: the bearer itself is refused.
func (a *API) RevokeKey(ctx context.Context, bearer secret.Token, keyID string) error {
	const doing = "revoking a key at Trinity"
	if !keyIDForm.MatchString(keyID) {
		return fmt.Errorf("%s: %w: not a key id", doing, ErrUnavailable)
	}
	answer, err := a.do(ctx, request{method: http.MethodDelete, path: "/api/mcp/keys/" + keyID, credential: bearer})
	if err != nil {
		return wrap(doing, err)
	}
	if answer.Status == http.StatusNotFound && detail(answer) != "" {
		return nil
	}
	var gone struct{}
	return wrap(doing, read(answer, &gone))
}

// ListedKey is a key of an account as Trinity lists it.
type ListedKey struct {
	ID, Name, Username string
	Active             bool
	CreatedAt          time.Time // zero when Trinity does not say it in a way that is known
}

// Keys lists the keys of the bearer's account; an administrator is shown everybody's (contract 3.2).
func (a *API) Keys(ctx context.Context, bearer secret.Token) ([]ListedKey, error) {
	const doing = "listing keys at Trinity"
	answer, err := a.do(ctx, request{method: http.MethodGet, path: "/api/mcp/keys", credential: bearer, most: maxListBytes})
	if err != nil {
		return nil, wrap(doing, err)
	}
	var body []struct {
		ID        string `json:"id"`
		Name      string `json:"name"`
		Username  string `json:"username"`
		Active    bool   `json:"is_active"`
		CreatedAt string `json:"created_at"`
	}
	if err := readList(answer, &body); err != nil {
		return nil, wrap(doing, err)
	}
	keys := make([]ListedKey, 0, len(body))
	for _, key := range body {
		keys = append(keys, ListedKey{ID: key.ID, Name: key.Name, Username: key.Username, Active: key.Active, CreatedAt: trinityTime(key.CreatedAt)})
	}
	return keys, nil
}

// trinityTime reads a time that Trinity wrote, with a zone or, by some builds, in UTC without saying so.
func trinityTime(text string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}
