// Package bridgetest starts the real program for tests: the real store, the simulated Trinity
// over real HTTP, an injected clock, and a browser that works as a person's does.
//
// A test asks Start for a Bridge, walks a flow with it, and asserts what was on the wire and what
// is stored. When the test ends every output of the program is searched for the secrets that were
// seen on the way (OP-30).
package bridgetest
