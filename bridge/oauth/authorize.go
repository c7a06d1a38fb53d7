package oauth

import (
	"context"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/discovery"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
	"github.com/abilityai/trinity-bridge/templates"
)

// Clients finds who is asking, if need be where the client's id points to. from is the network of
// whoever causes that.
type Clients interface {
	Identify(ctx context.Context, id, from string) (bridge.Client, error)
}

// Authorize serves the authorization endpoint (OAuth 2.1 §4.1.1).
type Authorize struct {
	Issuer    string
	Resources bridge.Resources // those served
	Clients   Clients
	Flows     *flow.Keeper
	Pushed    Pushed
	Proofs    Proofs
	Pages     *templates.Set
	Trail     *audit.Trail
	Log       *slog.Logger
}

// Mount adds the endpoint and its alias for 2025-03-26 clients (AS-005).
func (a *Authorize) Mount(r *mux.Router) {
	for _, path := range []string{discovery.PathAuthorize, "/authorize"} {
		r.HandleFunc(path, a.serve).Methods(http.MethodGet, http.MethodPost)
	}
}

// asked is a request whose client and redirect URI are good: from here on errors belong to the client.
type asked struct {
	client   bridge.Client
	redirect string
	params   parameters
}

func (a *Authorize) serve(w http.ResponseWriter, r *http.Request) {
	params, err := a.read(w, r)
	if err == nil {
		params, err = a.Pushed.open(r.Context(), params)
	}
	if err != nil {
		key := pageStoreDown
		if bridge.AsError(err) != nil {
			key = "bad-request"
		}
		a.page(w, r, key, err)
		return
	}
	request, problem, err := a.identify(r, params)
	if err != nil {
		a.page(w, r, problem, err)
		return
	}
	checked, err := a.check(request)
	if err != nil {
		a.back(w, r, request, err)
		return
	}
	begun, err := a.Flows.Begin(w, r, checked)
	if err != nil {
		key := pageStoreDown
		if errors.Is(err, flow.ErrTooMany) {
			key = pageTooMany
		}
		a.page(w, r, key, err)
		return
	}
	flow.Redirect(w, r, flow.URL(begun))
}

// read takes the parameters from the query of a GET or the body of a POST, never from both (AZ-21).
func (a *Authorize) read(w http.ResponseWriter, r *http.Request) (parameters, error) {
	if r.Method == http.MethodGet {
		return parseParameters(r.URL.RawQuery, maxQueryBytes)
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != formMediaType || r.URL.RawQuery != "" {
		return nil, bridge.Refuse(invalidRequest, "A POST carries its parameters as a form body")
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	return parseParameters(string(body), maxBodyBytes)
}

// identify settles who asks and where the answer may go. Until both are good there is no
// redirect, whatever else the request says (I7, AS-025, AS-026). It names the page that says why not.
func (a *Authorize) identify(r *http.Request, params parameters) (asked, string, error) {
	if len(params["client_id"]) > 1 || len(params["redirect_uri"]) > 1 {
		return asked{}, "bad-request", bridge.Refuse(invalidRequest, "client_id or redirect_uri stands twice")
	}
	client, err := a.Clients.Identify(r.Context(), params.get("client_id"), sourceOf(r))
	if err != nil {
		return asked{}, clientProblem(err), &unidentified{loggableID(params.get("client_id")), err}
	}
	if client.Blocked {
		return asked{}, "client-blocked", errors.New("the client is blocked")
	}
	redirect := params.get("redirect_uri")
	if redirect == "" {
		// A loopback URI says where but not on which port: it cannot stand for itself (AS-027).
		if len(client.RedirectURIs) != 1 || clients.Loopback(client.RedirectURIs[0]) {
			return asked{}, "bad-redirect", errors.New("no redirect_uri, and not exactly one to choose from")
		}
		redirect = client.RedirectURIs[0]
	}
	// Checked anew although it was checked when it was registered: the rules may have become
	// stricter since (DC-03).
	if !clients.MatchRedirect(client.RedirectURIs, redirect) || clients.CheckRedirect(redirect) != nil {
		return asked{}, "bad-redirect", errors.New("redirect_uri matches no registered one")
	}
	return asked{client: client, redirect: redirect, params: params}, "", nil
}

// unidentified says of which client it is not known who it is.
type unidentified struct {
	clientID string
	cause    error
}

func (u *unidentified) Error() string { return u.cause.Error() }
func (u *unidentified) Unwrap() error { return u.cause }

// clientProblem names the page for a client that cannot be identified. All that can be wrong with
// a document has one page: more would let strangers feel around our network (CM-25).
func clientProblem(err error) string {
	for _, problem := range []struct {
		err error
		key string
	}{
		{clients.ErrUnknown, "unknown-client"},
		{outbound.ErrBusy, pageTooMany},
		{clients.ErrAskOperator, clients.ProblemAsk},
		{clients.ErrNotAllowed, "client-blocked"},
		{clients.ErrDocument, "client-document"},
		{context.Canceled, "client-document"}, // nobody is there to read it
	} {
		if errors.Is(err, problem.err) {
			return problem.key
		}
	}
	return pageStoreDown
}

// sourceOf names the network of a person's browser, for its share of what it can cause outside.
// An inner address is a proxy's, behind which everybody is, and has no share.
func sourceOf(r *http.Request) string {
	network, ok := networkOf(r)
	if addr := network.Addr(); !ok || addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() {
		return ""
	}
	return network.String()
}

// page answers a request that may not be redirected.
func (a *Authorize) page(w http.ResponseWriter, r *http.Request, key string, err error) {
	status := http.StatusBadRequest
	switch refused := bridge.AsError(err); {
	case key == "client-document":
	case key == pageTooMany:
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", retryAfterFor)
	case refused != nil:
		status = refused.HTTPStatus()
	case key == pageStoreDown:
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "5")
		a.Log.ErrorContext(r.Context(), "authorize failed", "request_id", audit.RequestID(r.Context()), "error", err)
	}
	event := bridge.AuditEvent{Kind: audit.AuthorizeRejected, Outcome: key, Detail: err.Error()}
	var unknown *unidentified
	if errors.As(err, &unknown) {
		event.ClientID = unknown.clientID
	}
	if key == "client-document" { // names and addresses are for the log alone
		a.Log.InfoContext(r.Context(), "a client's document was not taken", "request_id", audit.RequestID(r.Context()),
			"client_id", event.ClientID, "error", err)
		event.Detail = clients.ErrDocument.Error()
	}
	if key == pageTooMany { // a flood is no reason to write
		a.Trail.Note(r.Context(), event)
	} else {
		a.Trail.Record(r.Context(), event)
	}
	a.Pages.Write(w, status, templates.ProblemPage{
		Status: status, Key: key, Host: clients.HostToAllow(err), Reference: audit.RequestID(r.Context()),
	})
}

// back returns an error to the client: by redirect where the operator vouches for it, else by a
// page with a link, for an endpoint that bounces to whatever anybody registered is an open
// redirector (AS-048, RFC 9700 §4.11.2).
func (a *Authorize) back(w http.ResponseWriter, r *http.Request, request asked, err error) {
	refused := bridge.AsError(err)
	a.Trail.Record(r.Context(), bridge.AuditEvent{
		Kind: audit.AuthorizeRejected, ClientID: request.client.ID, Outcome: refused.Code, Detail: refused.Description,
	})
	state := request.params.get("state")
	if len(request.params["state"]) > 1 || len(state) > maxStateBytes {
		state = "" // not a value to be echoed
	}
	exit := errorURL(request.redirect, a.Issuer, state, refused)
	if request.client.Verified() {
		flow.Redirect(w, r, exit)
		return
	}
	a.Pages.Write(w, http.StatusBadRequest, templates.ReturnPage{
		URL: exit, Client: clients.Describe(request.client, request.redirect), Reason: refused.Code,
	})
}

// errorURL is the redirect URI with an error answer (RFC 6749 §4.1.2.1, RFC 9207 §2).
func errorURL(redirect, issuer, state string, refused *bridge.Error) string {
	return flow.AnswerURL(redirect, issuer, state, url.Values{
		"error": {refused.Code}, "error_description": {strings.TrimSpace(refused.Description)},
	})
}
