// Package foreign has clients that others wrote connect through the bridge, as far as they need Go alone.
//
//	go-sdk's client  →  the whole program, in this process  →  simulated Trinity, or go-sdk's server
//
// The client finds its way by itself: from the first 401 through discovery and registration to tokens, and
// later to fresh ones. The test is the person at the browser, and whoever runs the upstream: it looks at
// what arrived there. Clients and servers that need Node are in package e2e.
//
// Neighbours: bridgetest starts the program and is the browser.
package foreign
