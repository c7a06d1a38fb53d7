package outbound

import (
	"context"
	"net"
)

// DialAddress dials as the guard does once an address is chosen.
func (g *Guard) DialAddress(ctx context.Context, address string) (net.Conn, error) {
	return g.dial(ctx, "tcp", address)
}
