package strangers

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

// World is a scripted internet.
type World struct {
	Authority *Authority

	mu      sync.Mutex
	names   map[string][]netip.Addr
	hosts   map[string]string // public address and port → where its server listens
	lookups []string
	dials   []string
}

// New makes a world without hosts.
func New(t *testing.T) *World {
	t.Helper()
	return &World{Authority: NewAuthority(t), names: map[string][]netip.Addr{}, hosts: map[string]string{}}
}

// Options are a guard's options in this world.
func (w *World) Options() outbound.GuardOptions {
	return outbound.GuardOptions{Resolver: w, Dial: w.Dial, Roots: w.Authority.Roots()}
}

// Guard makes a guard that lives in this world, after edit changed its options.
func (w *World) Guard(t *testing.T, edit func(*outbound.GuardOptions)) *outbound.Guard {
	t.Helper()
	options := w.Options()
	if edit != nil {
		edit(&options)
	}
	return outbound.NewGuard(options)
}

// Host is a host of the world.
type Host struct {
	Name string
	hits atomic.Int64

	mu      sync.Mutex
	handler http.Handler
	last    *http.Request
}

// NewHost is a host that finds nothing, until it is told what to serve.
func NewHost(name string) *Host { return &Host{Name: name, handler: http.NotFoundHandler()} }

// Serve changes what the host answers.
func (h *Host) Serve(handler http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handler = handler
}

// JSON has the host answer every request with a document.
func (h *Host) JSON(document string, header ...string) {
	h.Serve(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		_, _ = w.Write([]byte(document))
	})
}

// Hits counts the requests that arrived.
func (h *Host) Hits() int { return int(h.hits.Load()) }

// Last is the last request that arrived.
func (h *Host) Last() *http.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.hits.Add(1)
	h.mu.Lock()
	handler := h.handler
	h.last = r
	h.mu.Unlock()
	handler.ServeHTTP(w, r)
}

// Host gives a name a public address of its own and a server with a good certificate.
func (w *World) Host(t *testing.T, name string) *Host {
	t.Helper()
	h := NewHost(name)
	server := httptest.NewUnstartedServer(h)
	server.TLS = w.Authority.Config(t, name)
	server.StartTLS()
	t.Cleanup(server.Close)
	w.Place(name, server.Listener.Addr().String())
	return h
}

// Place gives a name a public address of its own, served on port 443 by what listens at local.
func (w *World) Place(name, local string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	address := fmt.Sprintf("93.184.216.%d", len(w.hosts)+1)
	w.hosts[net.JoinHostPort(address, "443")] = local
	w.names[name] = []netip.Addr{netip.MustParseAddr(address)}
}

// Resolve scripts the addresses of a name. They need not be valid for a guard.
func (w *World) Resolve(name string, addresses ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = nil
	for _, address := range addresses {
		w.names[name] = append(w.names[name], netip.MustParseAddr(address))
	}
}

// Addresses are those of a name.
func (w *World) Addresses(name string) []netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.names[name])
}

// LookupNetIP is the world's resolver. A name that is not asked for with its final dot would go
// through the search domains and is not found.
func (w *World) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups = append(w.lookups, host)
	for name, addresses := range w.names {
		if host == name+"." {
			return slices.Clone(addresses), nil
		}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// Dial is the world's dialler.
func (w *World) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dials = append(w.dials, address)
	local, ok := w.hosts[address]
	w.mu.Unlock()
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("%s: connection refused", address)}
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", local)
}

// Dials are the addresses dialled so far.
func (w *World) Dials() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.dials)
}

// Lookups are the names looked up so far.
func (w *World) Lookups() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lookups)
}
