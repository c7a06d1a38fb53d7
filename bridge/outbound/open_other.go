//go:build !unix

package outbound

import "net"

// open cannot be known here before something is written: no connection is used twice.
func open(net.Conn) bool { return false }
