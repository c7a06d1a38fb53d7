package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
	"golang.org/x/sync/singleflight"
)

// The bounds of a guard.
const (
	guardTimeout = 5 * time.Second // a whole fetch, from the name to the last byte (CM-20)
	dialTimeout  = 2 * time.Second // one address, so that a dead one leaves time for the next
	maxDialed    = 2               // addresses of one name and family
	maxInFlight  = 20              // fetches at once (CM-24)
	guardAgent   = "trinity-bridge"
)

var (
	// ErrForbidden means that a host must not be asked: its name, port or one of its addresses is not
	// one of the public internet. No connection was made.
	ErrForbidden = errors.New("must not be asked")
	// ErrBusy means that strangers are being asked as often as they may be. Try again later.
	ErrBusy = errors.New("too many fetches at once")
)

// Resolver finds the addresses of a name. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// GuardOptions are what a guard is made of. The zero value is the strict one.
type GuardOptions struct {
	OwnHosts []string       // host names never asked: our own and those behind us (CM-11)
	Ports    []uint16       // default 443 (CM-12)
	Networks []netip.Prefix // asked although they are not public, in a closed network
	Roots    *x509.CertPool // certificate authorities; nil for the system's
	Timeout  time.Duration  // of a whole fetch; default 5 s
	Now      func() time.Time

	Resolver Resolver                                                             // nil for the system's
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil for the system's
}

// Guard fetches small documents from hosts that strangers name. It is safe for concurrent use.
//
// A name is resolved once, every address it has must be public, and the connection goes to an
// address that was checked (CM-04…CM-10). Each fetch has a connection of its own, for a kept one
// would skip the check (CM-31).
type Guard struct {
	http      *http.Client
	resolver  Resolver
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	addresses *ssrf.Guardian
	own       []string
	ports     []uint16
	timeout   time.Duration
	limits    *limits
	slots     chan struct{}
	flights   singleflight.Group
}

// NewGuard makes a guard.
func NewGuard(o GuardOptions) *Guard {
	g := &Guard{
		resolver: o.Resolver, dial: o.Dial, ports: o.Ports, timeout: o.Timeout, slots: make(chan struct{}, maxInFlight),
	}
	for _, host := range o.OwnHosts {
		g.own = append(g.own, strings.ToLower(strings.Trim(host, "[]")))
	}
	if len(g.ports) == 0 {
		g.ports = []uint16{443}
	}
	if g.timeout == 0 {
		g.timeout = guardTimeout
	}
	now := o.Now
	if now == nil {
		now = time.Now
	}
	g.limits = newLimits(now)
	g.addresses = guardian(g.ports, o.Networks)
	if g.resolver == nil {
		g.resolver = net.DefaultResolver
	}
	if g.dial == nil {
		// The second lock on the door: asked by the system call's caller with the address it is given.
		g.dial = (&net.Dialer{Control: g.addresses.Safe, KeepAlive: -1}).DialContext
	}
	g.http = &http.Client{
		Transport:     g.transport(o.Roots),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return g
}

func guardian(ports []uint16, networks []netip.Prefix) *ssrf.Guardian {
	var v4, v6 []netip.Prefix
	for _, network := range networks {
		if network.Addr().Is4() {
			v4 = append(v4, network)
		} else {
			v6 = append(v6, network)
		}
	}
	return ssrf.New(ssrf.WithPorts(ports...), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}

func (g *Guard) transport(roots *x509.CertPool) *http.Transport {
	var plain http.Protocols
	plain.SetHTTP1(true) // one request to a connection
	return &http.Transport{
		Proxy:                  nil, // the check would see the proxy's address (CM-30)
		DialContext:            g.connect,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		Protocols:              &plain,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 16 << 10,
	}
}

// Fetch says what to fetch.
type Fetch struct {
	URL      string
	MaxBytes int    // most that is read of the answer; more is an error
	From     string // the network of whoever causes the fetch, for its share of the rate; "" for nobody's
}

// Get fetches a document. Whatever the status, an answer is an answer; callers that ask for the
// same at the same time share one fetch and must not change it.
//
// Errors wrap ErrForbidden, ErrBusy or ErrUnreachable, or are the context's.
func (g *Guard) Get(ctx context.Context, f Fetch) (*Answer, error) {
	target, err := g.target(f.URL)
	if err != nil {
		return nil, err
	}
	// The first one to ask may go away; the others still want the answer.
	flight := g.flights.DoChan(strconv.Itoa(f.MaxBytes)+" "+f.URL, func() (any, error) {
		return g.fetch(context.WithoutCancel(ctx), target, f)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case landed := <-flight:
		if landed.Err != nil {
			return nil, landed.Err
		}
		answer, _ := landed.Val.(*Answer)
		return answer, nil
	}
}

// target refuses what must not be asked whatever it resolves to.
func (g *Guard) target(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: not a plain https URL", ErrForbidden)
	}
	port := uint64(443)
	if text := u.Port(); text != "" {
		if port, err = strconv.ParseUint(text, 10, 16); err != nil {
			return nil, fmt.Errorf("%w: %q is no port", ErrForbidden, text)
		}
	}
	if !slices.Contains(g.ports, uint16(port)) {
		return nil, fmt.Errorf("%w: port %d", ErrForbidden, port)
	}
	return u, g.checkHost(u.Hostname())
}

func (g *Guard) fetch(ctx context.Context, target *url.URL, f Fetch) (*Answer, error) {
	if !g.limits.allow(strings.ToLower(target.Hostname()), f.From) {
		return nil, fmt.Errorf("%w: %s", ErrBusy, target.Hostname())
	}
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	default:
		return nil, fmt.Errorf("%w: %d are under way", ErrBusy, maxInFlight)
	}
	ctx, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("making a request to %s: %w", target.Host, err)
	}
	// Nothing that tells of a person, and nothing that has to be unpacked (AS-116, CM-22).
	req.Header = http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "User-Agent": {guardAgent}}
	res, err := g.http.Do(req)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	return readSmall(ctx, res, f.MaxBytes)
}

// readSmall reads an answer of at most most bytes that came as it is.
func readSmall(ctx context.Context, res *http.Response, most int) (*Answer, error) {
	for _, encoding := range res.Header.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return nil, fmt.Errorf("%w: the answer is encoded", ErrUnreachable)
		}
	}
	if res.ContentLength > int64(most) {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrUnreachable, most)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(most)+1))
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if len(body) > most {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrUnreachable, most)
	}
	return &Answer{Status: res.StatusCode, Header: res.Header, Body: body}, nil
}
