// Package app puts the program together: a configuration in, a running bridge out.
//
// New opens the store, unlocks it with the master secret, and hangs everything that belongs to
// one deployment off one Bridge; Run listens, works in the background and drains. main and the
// end-to-end tests both start exactly this.
//
//	request → middleware (reference, client address, Host, path) → routes → the room that serves it
//
// Routes are in routes.go: a reader finds the handler of a URL there in one step. It knows
// everybody; only cmd and e2e know it.
package app
