package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/templates"
)

// ErrUnknown says that no client of that id is known, or that it was swept because nobody used it.
var ErrUnknown = errors.New("no such client")

// registrationsKept bounds the memory of registrations, which may hold keys.
const registrationsKept = 500

// Registry knows every client.
type Registry struct {
	store      bridge.ClientStore
	seen       *lru.Cache[string, bridge.Client] // registrations: see registered
	configured map[string]bridge.Client
	documents  *documents
	verdicts   *verdicts
	keySets    *copies[[]jose.JSONWebKey]
	guard      Fetcher
	now        func() time.Time
	rand       io.Reader
}

// Options are what a registry is made of.
type Options struct {
	Store      bridge.ClientStore  // registrations, and what documents last said
	Verdicts   bridge.VerdictStore // what the operator decides while the program runs; nil: nothing
	Configured []bridge.Client
	Pinned     []bridge.Client // made by ReadDocument; taken in the place of fetched ones
	Trust      Trust
	Guard      Fetcher // fetches documents and keys
	Trail      *audit.Trail
	Now        func() time.Time
	Rand       io.Reader
}

// New makes a registry.
func New(o Options) (*Registry, error) {
	described, err := newCopies[bridge.Client](o.Now)
	if err != nil {
		return nil, err
	}
	keySets, err := newCopies[[]jose.JSONWebKey](o.Now)
	if err != nil {
		return nil, err
	}
	seen, err := lru.New[string, bridge.Client](registrationsKept)
	if err != nil {
		return nil, fmt.Errorf("making the memory of registrations: %w", err)
	}
	decided := newVerdicts(o.Verdicts, o.Trail, o.Now)
	r := &Registry{
		verdicts: decided,
		store:    o.Store, seen: seen, configured: map[string]bridge.Client{}, keySets: keySets, guard: o.Guard, now: o.Now, rand: o.Rand,
		documents: &documents{
			trust: o.Trust, verdicts: decided, pinned: map[string]bridge.Client{}, guard: o.Guard, store: o.Store, copies: described,
			trail: o.Trail, now: o.Now,
		},
	}
	for _, client := range o.Configured {
		r.configured[client.ID] = client
	}
	for _, client := range o.Pinned {
		r.documents.pinned[client.ID] = client
	}
	return r, nil
}

// Identify returns the client that asks for authorization. An id that is a URL is the address of
// its document, unless the operator gave that id to a client (AS-096). from is the network of
// whoever asks, "" for one that must not be counted.
//
// Errors: ErrUnknown, ErrDocument, ErrNotAllowed, ErrAskOperator, outbound.ErrBusy, or the store's.
// A blocked client is returned: the caller says so.
func (r *Registry) Identify(ctx context.Context, id, from string) (bridge.Client, error) {
	if _, ok := r.configured[id]; ok || !looksLikeURL(id) {
		return r.Client(ctx, id)
	}
	return r.documents.identify(ctx, id, from)
}

// Client returns a client that is known already, ErrUnknown, or a store error. It asks nobody
// outside. A blocked client is returned: the caller says so.
func (r *Registry) Client(ctx context.Context, id string) (bridge.Client, error) {
	if client, ok := r.configured[id]; ok {
		client.Blocked = client.Blocked || r.verdicts.blocks(id)
		return client, nil
	}
	find := r.registered
	if looksLikeURL(id) {
		find = r.documents.known
	}
	client, err := find(ctx, id)
	switch {
	case errors.Is(err, bridge.ErrNotFound) || errors.Is(err, ErrUnknown):
		return bridge.Client{}, ErrUnknown
	case err != nil:
		return bridge.Client{}, fmt.Errorf("reading a client: %w", err)
	}
	return client, nil
}

// registered reads a registration once: it is as it was made until its time is over, which only moves on. A
// connection asks for it eight times, and each refresh once.
func (r *Registry) registered(ctx context.Context, id string) (bridge.Client, error) {
	if id == "" || len(id) > 64 {
		return bridge.Client{}, ErrUnknown
	}
	client, known := r.seen.Get(id)
	if !known || !client.UnusedUntil.IsZero() && !r.now().Before(client.UnusedUntil) {
		var err error
		if client, err = r.store.Client(ctx, id, r.now()); err != nil {
			return bridge.Client{}, err
		}
		r.seen.Add(id, client)
	}
	client.Blocked = client.Blocked || r.verdicts.blocks(id)
	return client, nil
}

// Newcomers is a registry that also looks where the ids of clients point to that nobody has
// allowed yet, for endpoints a client may come to before any person does. From is the network of whoever
// comes, for its share of what is fetched.
type Newcomers struct {
	*Registry

	From string
}

// Client is Identify.
func (n Newcomers) Client(ctx context.Context, id string) (bridge.Client, error) {
	client, err := n.Identify(ctx, id, n.From)
	if errors.Is(err, ErrDocument) || errors.Is(err, ErrNotAllowed) || errors.Is(err, ErrAskOperator) {
		return bridge.Client{}, ErrUnknown
	}
	return client, err
}

// Of returns the client of a request: as its document stood when the request was checked, or as
// Client knows it.
func (r *Registry) Of(ctx context.Context, request bridge.AuthorizationRequest) (bridge.Client, error) {
	if request.Client != nil {
		return r.documents.judged(*request.Client), nil
	}
	return r.Client(ctx, request.ClientID)
}

// Keep stores what the document of a client says, because a person allows it: from now on the
// client is known, whatever becomes of the document. Other clients are stored or configured already.
func (r *Registry) Keep(ctx context.Context, client bridge.Client) error {
	if client.Kind != bridge.ClientDocument {
		return nil
	}
	client.UnusedUntil = r.now().Add(unusedLife)
	if err := r.store.PutClient(ctx, client, r.now()); err != nil {
		return fmt.Errorf("keeping a client: %w", err)
	}
	return nil
}

// Barred reports whether the operator lets a client no longer in. It asks no store, so that every
// call can ask it.
func (r *Registry) Barred(id string) bool { return r.State(id) != StateIn }

// Obtainable is the most the client of a grant could be given by asking again: nobody is asked
// for what will not be granted (RS-31). A client that is gone can get nothing.
func (r *Registry) Obtainable(ctx context.Context, grant bridge.Grant) bridge.Scopes {
	client, err := r.Client(ctx, grant.ClientID)
	switch {
	case err != nil || client.Blocked:
		return bridge.Scopes{}
	case len(client.Scopes) == 0:
		return bridge.AllScopes()
	}
	return client.Scopes
}

// Describe says what a page may say about the client of a request. A client that has vanished
// since is described by its redirect alone. Without a request nobody asks: the person visits.
func (r *Registry) Describe(ctx context.Context, request bridge.AuthorizationRequest) templates.Client {
	if request.ClientID == "" {
		return templates.Client{Visit: true}
	}
	client, err := r.Of(ctx, request)
	if err != nil {
		client = bridge.Client{}
	}
	return Describe(client, request.RedirectURI)
}

// DescribeGrant is Describe for a connection there is: by the name the person agreed to, unless the
// operator gives it one. The address of a document tells its host when nothing else is known any more.
func (r *Registry) DescribeGrant(ctx context.Context, grant bridge.Grant) templates.Client {
	client, err := r.Client(ctx, grant.ClientID)
	if err != nil {
		client = bridge.Client{ID: grant.ClientID}
		if CheckDocumentID(grant.ClientID) == nil {
			client.Kind = bridge.ClientDocument
		}
	}
	if !client.Verified() {
		client.Name = grant.ClientName
	}
	return Describe(client, grant.Redirect)
}

// Describe says what a page may say about client when the answer goes to redirectURI.
func Describe(client bridge.Client, redirectURI string) templates.Client {
	view := templates.Client{
		Name: templates.CleanName(client.Name), Verified: client.Verified(), Loopback: Loopback(redirectURI),
	}
	redirect, err := url.Parse(redirectURI)
	if err != nil {
		return view
	}
	view.RedirectHost = redirect.Host
	if client.Kind == bridge.ClientDocument {
		view.DocumentHost = documentHost(client.ID)
	}
	site, err := url.Parse(client.URI)
	if err == nil && site.Scheme == "https" && site.User == nil && (site.Host == redirect.Host || site.Host == view.DocumentHost) {
		view.Website = site.String() // linked only where it is on a host the person is told about (CO-18)
	}
	return view
}
