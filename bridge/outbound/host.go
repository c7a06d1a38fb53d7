package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// innerNames are the last labels of names that belong to no host of the public internet
// (RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476) or that inner networks use (CM-10).
var innerNames = [...]string{
	"localhost", "local", "internal", "intranet", "private", "corp", "home", "lan", "arpa", "onion", "alt", "test", "invalid", "example",
}

// checkHost refuses names that must never be asked, without asking anybody about them.
func (g *Guard) checkHost(host string) error {
	host = strings.ToLower(host)
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%w: a host name is ASCII here", ErrForbidden) // the transport would map it to another one
	}
	if slices.Contains(g.own, host) {
		return fmt.Errorf("%w: %s is one of our own", ErrForbidden, host)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Is4In6() {
			return fmt.Errorf("%w: %s hides another address", ErrForbidden, host)
		}
		return g.checkAddress(addr)
	}
	labels := strings.Split(host, ".")
	last := labels[len(labels)-1]
	switch {
	case len(host) > 253 || slices.Contains(labels, ""):
		return fmt.Errorf("%w: %q is no full host name", ErrForbidden, host)
	case len(labels) == 1:
		return fmt.Errorf("%w: %s is a name of the inner network", ErrForbidden, host)
	case last[0] >= '0' && last[0] <= '9': // 127.1, 0x7f.0.0.1: some resolvers read an address
		return fmt.Errorf("%w: %s ends in a number", ErrForbidden, host)
	case slices.Contains(innerNames[:], last):
		return fmt.Errorf("%w: .%s is not a domain of the public internet", ErrForbidden, last)
	}
	return nil
}

// checkAddress refuses every address that is not public unicast: special-use ranges and all forms
// that carry an IPv4 address inside, whatever that address is (CM-04…CM-07).
func (g *Guard) checkAddress(addr netip.Addr) error {
	if addr.Zone() != "" {
		return fmt.Errorf("%w: %s has a zone", ErrForbidden, addr)
	}
	if err := g.addresses.SafeAddr(addr); err != nil {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return nil
}

// connect dials a host for the transport: it looks the name up once, checks every address and
// dials what it checked.
func (g *Guard) connect(ctx context.Context, network, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("reading the address %s: %w", address, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("reading the address %s: %w", address, err)
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var failures []error
	for _, addr := range someOf(addrs) {
		conn, err := g.dialOne(ctx, network, netip.AddrPortFrom(addr, uint16(port)))
		if err == nil {
			return conn, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// someOf keeps the first addresses of each family: where one family leads nowhere, the other still
// has its turn within the deadline.
func someOf(addrs []netip.Addr) []netip.Addr {
	var some []netip.Addr
	kept := map[bool]int{}
	for _, addr := range addrs {
		if kept[addr.Is4()] < maxDialed {
			kept[addr.Is4()]++
			some = append(some, addr)
		}
	}
	return some
}

func (g *Guard) dialOne(ctx context.Context, network string, addr netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := g.dial(ctx, network, addr.String())
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return conn, nil
}

// resolve returns the addresses of a host, all of them checked: one inner address among public
// ones refuses the name (CM-08).
func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, g.checkAddress(addr)
	}
	// The dot at the end keeps search domains out: they lead into the inner network.
	found, err := g.resolver.LookupNetIP(ctx, "ip", host+".")
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", host, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("looking up %s: no address", host)
	}
	addrs := make([]netip.Addr, 0, len(found))
	for _, addr := range found {
		addr = addr.Unmap() // resolvers give IPv4 addresses in either form; the one inside is what is checked
		if err := g.checkAddress(addr); err != nil {
			return nil, fmt.Errorf("%s: %w", host, err)
		}
		addrs = append(addrs, addr)
	}
	return addrs, nil
}
