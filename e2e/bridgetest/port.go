package bridgetest

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"testing"
)

// Where FreePort looks: below the ports that Linux gives to outgoing connections and to whoever asks for any, so that
// none of those takes the port before the program listens on it, or while the program is restarted.
const (
	firstPort = 10_000
	ports     = 20_000
)

// FreePort finds a port on 127.0.0.1 that nothing listens on.
func FreePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		var random [4]byte
		_, _ = rand.Read(random[:]) // never fails
		port := firstPort + int(binary.BigEndian.Uint32(random[:])%ports)
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no free port on loopback")
	return 0
}
