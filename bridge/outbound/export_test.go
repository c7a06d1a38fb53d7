package outbound

import (
	"context"
	"net"
	"strings"
)

// DialAddress dials as the guard does once an address is chosen.
func (g *Guard) DialAddress(ctx context.Context, address string) (net.Conn, error) {
	return g.dial(ctx, "tcp", address)
}

// Safe asks the second lock about an address with its port.
func (g *Guard) Safe(address string) error {
	network := "tcp4"
	if strings.HasPrefix(address, "[") {
		network = "tcp6"
	}
	return g.addresses.Safe(network, address, nil)
}
