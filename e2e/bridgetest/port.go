package bridgetest

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
)

// Where FreePort looks: below the ports that Linux gives to outgoing connections and to whoever asks for any, so that
// none of those takes the port before the program listens on it, or while the program is restarted, and above the
// last one that browsers and Node connect to for nobody (https://fetch.spec.whatwg.org/#port-blocking).
const (
	firstPort = 11_000
	ports     = 20_000
)

// FreePort finds a port on 127.0.0.1 that nothing listens on, and that no other test is given before t has ended.
func FreePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		var random [4]byte
		_, _ = rand.Read(random[:]) // never fails
		port := firstPort + int(binary.BigEndian.Uint32(random[:])%ports)
		if reserve(t, port) {
			return port
		}
	}
	t.Fatal("no free port on loopback")
	return 0
}

// reserve holds UDP's port of this number until t has ended, which keeps it from the tests of other packages, too:
// these run in processes of their own, and a program may take seconds to listen on what it was given.
func reserve(t *testing.T, port int) bool {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", port)
	held, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", address)
	if err != nil {
		return false
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		_ = held.Close()
		return false
	}
	_ = listener.Close()
	t.Cleanup(func() { _ = held.Close() })
	return true
}
