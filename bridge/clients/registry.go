package clients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/templates"
)

// ErrUnknown says that no client of that id is known, or that it was swept because nobody used it.
var ErrUnknown = errors.New("no such client")

// Registry knows every client.
type Registry struct {
	store      bridge.ClientStore
	configured map[string]bridge.Client
	now        func() time.Time
	rand       io.Reader
}

// New makes a registry of the configured clients, over the store of the registered ones.
func New(store bridge.ClientStore, configured []bridge.Client, now func() time.Time, rand io.Reader) *Registry {
	r := &Registry{store: store, configured: map[string]bridge.Client{}, now: now, rand: rand}
	for _, client := range configured {
		r.configured[client.ID] = client
	}
	return r
}

// Client returns the client, ErrUnknown, or a store error. A blocked client is returned: the
// caller says so.
func (r *Registry) Client(ctx context.Context, id string) (bridge.Client, error) {
	if client, ok := r.configured[id]; ok {
		return client, nil
	}
	if id == "" || len(id) > 64 {
		return bridge.Client{}, ErrUnknown
	}
	client, err := r.store.Client(ctx, id, r.now())
	if errors.Is(err, bridge.ErrNotFound) {
		return bridge.Client{}, ErrUnknown
	}
	if err != nil {
		return bridge.Client{}, fmt.Errorf("reading a client: %w", err)
	}
	return client, nil
}

// Describe says what a page may say about the client of a request. A client that has vanished
// since is described by its redirect alone.
func (r *Registry) Describe(ctx context.Context, request bridge.AuthorizationRequest) templates.Client {
	client, err := r.Client(ctx, request.ClientID)
	if err != nil {
		client = bridge.Client{}
	}
	return Describe(client, request.RedirectURI)
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
	site, err := url.Parse(client.URI)
	if err == nil && site.Scheme == "https" && site.Host == redirect.Host && site.User == nil {
		view.Website = site.String() // linked only where it is on the host the person is told about (CO-18)
	}
	return view
}
