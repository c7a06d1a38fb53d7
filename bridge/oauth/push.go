package oauth

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

const (
	// pushedPrefix begins every request_uri of ours (RFC 9126 §2.2). No other is ever taken, and
	// none is ever fetched.
	pushedPrefix   = "urn:ietf:params:oauth:request_uri:"
	pushedLife     = time.Minute
	maxPushedBytes = 5 << 10
	sealPushed     = "pushed request"
)

// Push serves pushed authorization requests (RFC 9126): a client hands over its request behind
// its own authentication and sends the browser along with a reference only.
//
// The reference is the request itself, sealed for the client, so nothing is stored until it is
// used; that it is used once, the store remembers.
type Push struct {
	Authorize *Authorize
	// Clients authenticates whoever pushes from a network, "" for nobody's.
	Clients func(from string) Authenticator
	Log     *slog.Logger
}

// Pushed opens what Push gave out.
type Pushed struct {
	Ring *secret.Keyring
	Once bridge.ReplayStore
	Now  func() time.Time
}

// Mount adds the endpoint.
func (p *Push) Mount(r *mux.Router) {
	r.HandleFunc(discovery.PathPush, p.serve).Methods(http.MethodPost)
	r.HandleFunc(discovery.PathPush, onlyPost)
}

type pushedResponse struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int    `json:"expires_in"`
}

func (p *Push) serve(w http.ResponseWriter, r *http.Request) {
	answer, err := p.push(w, r)
	if err != nil {
		writeError(w, r, p.Log, err)
		return
	}
	writeJSON(w, http.StatusCreated, answer)
}

func (p *Push) push(w http.ResponseWriter, r *http.Request) (*pushedResponse, error) {
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	proofs := p.Authorize.Proofs
	proof, err := proofs.check(w, r)
	if err != nil {
		return nil, err
	}
	client, err := p.Clients(sourceOf(r)).Authenticate(r, form)
	if errors.Is(err, outbound.ErrBusy) {
		return nil, &bridge.Error{
			Code: "temporarily_unavailable", Description: "Too many clients are being looked up", Status: http.StatusTooManyRequests,
		}
	}
	if err != nil {
		return nil, err
	}
	if form.get("request_uri") != "" {
		return nil, bridge.Refuse(invalidRequest, "A pushed request names no other") // RFC 9126 §2.1
	}
	params := parameters{}
	for name, values := range form {
		if !strings.HasPrefix(name, "client_") || name == "client_id" {
			params[name] = values // credentials stay here
		}
	}
	params["client_id"] = []string{client.ID}
	if err := proofs.nameIn(params, proof); err != nil {
		return nil, err
	}
	request, problem, err := p.Authorize.identify(r, params)
	switch {
	case problem == pageStoreDown:
		return nil, err
	case err != nil:
		return nil, bridge.Refuse(invalidRequest, "The redirect URI is not one of the client's")
	}
	if _, err := p.Authorize.check(request); err != nil {
		return nil, err
	}
	if err := proofs.use(r.Context(), proof); err != nil {
		return nil, err
	}
	reference, err := p.Authorize.Pushed.seal(client.ID, params)
	if err != nil {
		return nil, err
	}
	return &pushedResponse{RequestURI: reference, ExpiresIn: int(pushedLife.Seconds())}, nil
}

func (p Pushed) seal(clientID string, params parameters) (string, error) {
	encoded := url.Values(params).Encode()
	if len(encoded) > maxPushedBytes {
		return "", bridge.Refuse(invalidRequest, "The request is too large")
	}
	text := strconv.FormatInt(p.Now().Add(pushedLife).Unix(), 10) + " " + encoded
	return pushedPrefix + base64.RawURLEncoding.EncodeToString(p.Ring.SealFresh(sealPushed, clientID, []byte(text))), nil
}

// open replaces a request that only refers to a pushed one by that one. Other parameters beside
// the reference are ignored (RFC 9101 §6.3); a reference that is not good ends on a page, for
// client and redirect URI are known only from within it.
func (p Pushed) open(ctx context.Context, params parameters) (parameters, error) {
	encoded, ok := strings.CutPrefix(params.get("request_uri"), pushedPrefix)
	if !ok || len(params["request_uri"]) > 1 || len(params["client_id"]) > 1 {
		return params, nil
	}
	gone := bridge.Refuse(invalidRequest, "The pushed request is not known, or was used")
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, gone
	}
	text, err := p.Ring.Open(sealPushed, params.get("client_id"), sealed)
	if err != nil {
		return nil, gone
	}
	until, query, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseInt(until, 10, 64)
	if err != nil || !p.Now().Before(time.Unix(seconds, 0)) {
		return nil, gone
	}
	first, err := p.Once.UseOnce(ctx, sealPushed, bridge.HashOf(encoded).String(), time.Unix(seconds, 0), p.Now())
	if err != nil {
		return nil, err
	}
	if !first {
		return nil, gone
	}
	return parseParameters(query, maxPushedBytes)
}
