package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/rates"
)

// KnownClients knows the clients that have been let in, and their keys.
type KnownClients interface {
	// Client asks nobody outside: a token request needs no document (CM-29).
	Client(ctx context.Context, id string) (bridge.Client, error)
	Keys(ctx context.Context, client bridge.Client, kid string) ([]jose.JSONWebKey, error)
}

// Replays remembers which assertions were used.
type Replays interface {
	UseOnce(ctx context.Context, namespace, id string, expires, now time.Time) (bool, error)
}

// Authenticator authenticates clients at the direct endpoints (OAuth 2.1 §2.4).
type Authenticator struct {
	clients       KnownClients
	replays       Replays
	issuer        string
	tokenEndpoint string
	now           func() time.Time
	failures      *rates.Each // per client and network: never for all of one network
}

const (
	failuresKept  = 10_000
	failureBurst  = 20
	failuresPerS  = 0.1
	retryAfterFor = "30"
)

// NewAuthenticator makes an Authenticator for the direct endpoints of an issuer.
func NewAuthenticator(issuer string, known KnownClients, replays Replays, now func() time.Time) Authenticator {
	return Authenticator{
		clients: known, replays: replays, issuer: issuer, tokenEndpoint: issuer + discovery.PathToken, now: now,
		failures: rates.New(failuresKept, failuresPerS, failureBurst),
	}
}

// Knowing is an Authenticator of other clients that counts failures with this one.
func (a Authenticator) Knowing(known KnownClients) Authenticator {
	a.clients = known
	return a
}

// credentials are what a request offers.
type credentials struct {
	id        string
	secret    string
	assertion *assertion
	basic     bool
	raw       [2]string // the Basic pair without form decoding (AS-077)
}

// Authenticate returns the client of a request: by its assertion, by its secret, or by its id alone
// if it is a public one. A failure is 401 invalid_client, on which clients register anew (B43), and
// touches no code or token.
func (a Authenticator) Authenticate(r *http.Request, form parameters) (bridge.Client, error) {
	offered, err := readCredentials(r, form)
	if err != nil {
		return bridge.Client{}, err
	}
	if a.failures.Spent(failureKey(r, offered.id), a.now()) {
		return bridge.Client{}, &bridge.Error{
			Code: "invalid_client", Description: "Too many failed attempts, try again in " + retryAfterFor + " s",
			Status: http.StatusTooManyRequests,
		}
	}
	prove := a.match
	if offered.assertion != nil {
		prove = a.byAssertion
	}
	client, err := prove(r.Context(), offered)
	if refused := bridge.AsError(err); refused != nil && (offered.secret != "" || offered.assertion != nil) {
		a.failed(r, offered.id)
	}
	return client, err
}

func (a Authenticator) match(ctx context.Context, offered credentials) (bridge.Client, error) {
	pairs := [][2]string{{offered.id, offered.secret}}
	if offered.basic && offered.raw != pairs[0] {
		pairs = append(pairs, offered.raw)
	}
	for _, pair := range pairs {
		client, err := a.clients.Client(ctx, pair[0])
		if errors.Is(err, clients.ErrUnknown) {
			continue
		}
		if err != nil {
			return bridge.Client{}, err
		}
		if !client.Blocked && proven(client, pair[1], offered.basic) {
			return client, nil
		}
	}
	return bridge.Client{}, unproven(nil)
}

// proven reports whether the client showed what it must: a public one shows nothing and says so
// in the body, one with secrets one of them by either of the two ways. A client with a key has no
// secret and is never proven here (AS-081, AS-114).
func proven(client bridge.Client, presented string, basic bool) bool {
	if client.Public() {
		return presented == "" && !basic
	}
	if presented == "" {
		return false
	}
	hash := bridge.HashOf(presented)
	ok := false
	for _, known := range client.SecretHashes {
		ok = subtle.ConstantTimeCompare(hash[:], known[:]) == 1 || ok
	}
	return ok
}

func readCredentials(r *http.Request, form parameters) (credentials, error) {
	offered := credentials{id: form.get("client_id"), secret: form.get("client_secret")}
	headers := r.Header.Values("Authorization")
	if compact, kind := form.get("client_assertion"), form.get("client_assertion_type"); compact != "" || kind != "" {
		if len(headers) > 0 || offered.secret != "" {
			return credentials{}, bridge.Refuse(invalidRequest, "There are two ways of client authentication") // AS-080
		}
		return offeredAssertion(offered.id, compact, kind)
	}
	if len(headers) == 0 {
		if offered.id == "" {
			return credentials{}, bridge.Refuse(invalidRequest, "client_id is missing")
		}
		return offered, nil
	}
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Basic") {
		return credentials{}, bridge.Refuse(invalidRequest, "The Authorization header is not Basic")
	}
	if offered.secret != "" {
		return credentials{}, bridge.Refuse(invalidRequest, "There are two ways of client authentication") // AS-080
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	id, password, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok {
		return credentials{}, &bridge.Error{Code: "invalid_client", Description: "The Basic credentials cannot be read", Status: http.StatusUnauthorized}
	}
	basic := credentials{id: id, secret: password, basic: true, raw: [2]string{id, password}}
	if decoded, err := url.QueryUnescape(id); err == nil {
		basic.id = decoded
	}
	if decoded, err := url.QueryUnescape(password); err == nil {
		basic.secret = decoded
	}
	if offered.id != "" && offered.id != basic.id && offered.id != id {
		return credentials{}, bridge.Refuse(invalidRequest, "There are two client ids")
	}
	return basic, nil
}

func (a Authenticator) failed(r *http.Request, id string) {
	a.failures.Of(failureKey(r, id)).AllowN(a.now(), 1)
}

func failureKey(r *http.Request, id string) string {
	if network, ok := networkOf(r); ok {
		return loggableID(id) + "\x00" + network.String()
	}
	return loggableID(id) + "\x00" + r.RemoteAddr
}

// networkOf is the network a request comes from: what one household or office usually has.
func networkOf(r *http.Request) (netip.Prefix, bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}, false
	}
	bits := 24
	if addr.Unmap().Is6() {
		bits = 64
	}
	network, err := addr.Unmap().WithZone("").Prefix(bits)
	return network, err == nil
}
