// Package clients knows who is asking.
//
// A client id comes in from the protocol endpoints; a bridge.Client comes out: one the operator
// named in the configuration, or one that registered itself (RFC 7591) and whose every word is
// its own claim. The package also owns the rule that decides whether a browser may be sent to a
// redirect URI, since that decision and the client's record only make sense together.
//
// Neighbours: oauth asks it at every endpoint, consent and federation take from it what a page
// may say about the client, the store keeps registrations.
package clients
