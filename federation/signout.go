package federation

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	sealSignOut = "sign-out"
	// signOutLife is how long a person may take to sign out at a provider and come back.
	signOutLife = time.Hour
)

// SignOut is where the browser of somebody who signs out here ends the session they signed in with
// (OIDC RP-Initiated Logout §2), and comes back from to an address of ours. "" for Trinity's e-mail code,
// and for a source that has no such page.
func (s *Step) SignOut(ctx context.Context, signIn bridge.SignIn, back string) (string, error) {
	source, known := s.Source(signIn.Source)
	if !known || signIn.Identity == nil {
		return "", nil
	}
	var hint secret.Token
	if len(signIn.Identity.IDToken) > 0 {
		var err error
		if hint, err = s.Ring.OpenToken(bridge.SealedIdentityToken, signIn.Identity.ID, signIn.Identity.IDToken); err != nil {
			return "", fmt.Errorf("opening an ID token: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, flow.AskTime)
	defer cancel()
	return source.Provider.SignOut(ctx, SignOut{IDToken: hint, Back: s.Issuer + back, State: s.signOutState(source)}) //nolint:wrapcheck // the provider's own words
}

// signOutState says from which source a browser comes back, and until when that is believed. Nothing
// depends on it but what the page says, so that no more than a seal is needed.
func (s *Step) signOutState(source Source) string {
	until := strconv.FormatInt(s.Now().Add(signOutLife).Unix(), 10)
	return source.Name + "." + base64.RawURLEncoding.EncodeToString(s.Ring.SealFresh(sealSignOut, source.Name, []byte(until)))
}

// SignedOut returns the label of the source that a browser comes back from with a state of SignOut.
func (s *Step) SignedOut(state string) (string, bool) {
	if len(state) > maxStateBytes {
		return "", false
	}
	name, text, _ := strings.Cut(state, ".")
	source, known := s.Source(name)
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if !known || err != nil {
		return "", false
	}
	plain, err := s.Ring.Open(sealSignOut, name, sealed)
	if err != nil {
		return "", false
	}
	until, err := strconv.ParseInt(string(plain), 10, 64)
	return source.Label, err == nil && s.Now().Unix() < until
}
