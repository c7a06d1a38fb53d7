package clients

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/signed"
)

const (
	maxKeySetBytes = 16 << 10 // of a set behind a jwks_uri
	maxKeys        = 20
	// askAgain is how long after a try a kid that nobody knows does not cause another.
	askAgain = time.Minute
)

// ErrKeys says that a client has no keys that can be used.
var ErrKeys = errors.New("the client's keys cannot be used")

// setKeys makes client an AuthKey client with the keys it gave, or the place where it has them.
func setKeys(client *bridge.Client, jwks []byte, uri, algorithm string) error {
	client.AuthMethod, client.SigningAlg = bridge.AuthKey, algorithm
	if algorithm != "" && !slices.Contains(bridge.AssertionAlgorithms(), algorithm) {
		return badMetadata("token_endpoint_auth_signing_alg is not one of those in the server metadata")
	}
	switch {
	case len(jwks) > 0 && uri != "":
		return badMetadata("jwks and jwks_uri exclude each other")
	case uri != "":
		if err := CheckKeysURI(uri); err != nil {
			return err
		}
		client.KeysURI = uri
		return nil
	case len(jwks) == 0:
		return badMetadata("private_key_jwt needs jwks or jwks_uri")
	}
	keys, err := readKeys(jwks)
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return badMetadata("jwks holds no key that is served")
	}
	// One form for one set, so that white space and order of members change no fingerprint (RFC 8785).
	canonical := jsontext.Value(slices.Clone(jwks))
	if err := canonical.Canonicalize(); err != nil {
		return badMetadata("jwks cannot be read")
	}
	client.Keys = canonical
	return nil
}

// SetKeys is setKeys for a client of the configuration; a failure is a *bridge.Error.
func SetKeys(client *bridge.Client, jwks []byte, uri string) error {
	return setKeys(client, jwks, uri, "")
}

// CheckKeysURI says why a jwks_uri cannot be used, or returns nil. Whether its host may be asked
// is settled when it is.
func CheckKeysURI(uri string) error {
	parsed, err := url.Parse(uri)
	if err != nil || checkRedirectBytes(uri) != nil || !strings.HasPrefix(uri, "https://") || parsed.Host == "" || parsed.User != nil {
		return badMetadata("jwks_uri is not a plain https URL")
	}
	return nil
}

// readKeys reads a JWK set (RFC 7517 §5) and returns the keys that can check an assertion. Keys
// of kinds we do not know are left out; a set that shows anything secret is refused (AS-102).
func readKeys(set []byte) ([]jose.JSONWebKey, error) {
	var raw struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := strict.Unmarshal(set, &raw); err != nil {
		return nil, badMetadata("the key set cannot be read")
	}
	if len(raw.Keys) > maxKeys {
		return nil, badMetadata("the key set has too many keys")
	}
	var usable []jose.JSONWebKey
	for _, one := range raw.Keys {
		key, err := signed.ReadKey(one)
		switch {
		case err == nil:
			usable = append(usable, key)
		case errors.Is(err, signed.ErrSecretKey):
			return nil, badMetadata("the key set shows a private or shared key")
		case !errors.Is(err, signed.ErrUnfit):
			return nil, badMetadata("the key set cannot be read")
		}
	}
	return usable, nil
}

// Keys returns the keys a client may have signed with under kid, all of them when kid is "".
//
// A kid nobody knows has the keys asked for anew where the client publishes them, once a minute
// at most: that is how a client rotates its keys. No key is no error; ErrKeys means that the client
// has none that can be used, anything else that they cannot be had at the moment.
func (r *Registry) Keys(ctx context.Context, client bridge.Client, kid string) ([]jose.JSONWebKey, error) {
	keys, err := r.currentKeys(ctx, client)
	found := named(keys, kid)
	if err == nil && len(found) == 0 {
		keys, err = r.newerKeys(ctx, client)
		found = named(keys, kid)
	}
	if errors.Is(err, outbound.ErrForbidden) || errors.Is(err, errUnreadable) || errors.Is(err, ErrDocument) && !errors.Is(err, outbound.ErrUnreachable) {
		return nil, fmt.Errorf("%w: %w", ErrKeys, err)
	}
	return found, err
}

func (r *Registry) currentKeys(ctx context.Context, client bridge.Client) ([]jose.JSONWebKey, error) {
	switch {
	case client.KeysURI == "" && len(client.Keys) == 0:
		return nil, nil // it has none, or none any more
	case client.KeysURI == "":
		return readKeys(client.Keys)
	}
	if keys, fresh := r.keySets.fresh(client.KeysURI); fresh {
		return keys, nil
	}
	last, ok := r.keySets.last(client.KeysURI)
	if ok && !r.keySets.mayTry(client.KeysURI) {
		return last, nil
	}
	keys, err := r.fetchKeys(ctx, client.KeysURI)
	if err != nil && ok {
		return last, nil // a key server that is down throws nobody out (CM-29)
	}
	return keys, err
}

// newerKeys asks anew where that can help and is not too soon; otherwise it returns nothing.
func (r *Registry) newerKeys(ctx context.Context, client bridge.Client) ([]jose.JSONWebKey, error) {
	switch {
	case client.KeysURI != "" && r.keySets.mayTry(client.KeysURI):
		return r.fetchKeys(ctx, client.KeysURI)
	case client.Kind == bridge.ClientDocument && client.KeysURI == "":
		newer, err := r.documents.again(ctx, client.ID)
		if err != nil {
			return nil, err
		}
		return r.currentKeys(ctx, newer)
	}
	return nil, nil
}

func (r *Registry) fetchKeys(ctx context.Context, uri string) ([]jose.JSONWebKey, error) {
	r.keySets.tried(uri)
	answer, err := fetchJSON(ctx, r.guard, uri, maxKeySetBytes, "")
	if err != nil {
		return nil, fmt.Errorf("fetching the keys of a client: %w", err)
	}
	keys, err := readKeys(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the keys of a client: %w", errors.Join(errUnreadable, err))
	}
	r.keySets.put(uri, keys, freshFor(answer.Header, r.now()))
	return keys, nil
}

func named(keys []jose.JSONWebKey, kid string) []jose.JSONWebKey {
	if kid == "" {
		return keys
	}
	var found []jose.JSONWebKey
	for _, key := range keys {
		if key.KeyID == kid {
			found = append(found, key)
		}
	}
	return found
}
