package gateway_test

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/abilityai/trinity-bridge/bridge/gateway"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

// TestUpstreamRequest_onePiece: header and body of a call leave in one write, so that the upstream wakes up once.
func TestUpstreamRequest_onePiece(t *testing.T) {
	t.Parallel()
	var writes atomic.Int64
	w := start(t, func(o *gateway.Options) {
		transport := outbound.Transport()
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return &countedConn{Conn: conn, writes: &writes}, err
		}
		o.Transport = transport
	})
	c := w.connect("alice")
	const calls = 3
	for range calls {
		w.call(c, toolCall("list_agents")).want(t, http.StatusOK)
	}
	if got := writes.Load(); got != calls {
		t.Errorf("%d writes for %d calls", got, calls)
	}
}

type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}
