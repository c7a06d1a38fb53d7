// Package signed reads tokens that others signed: client assertions, identity assertions, DPoP proofs.
//
// A compact JWS (RFC 7515) comes in; what it says comes out in two steps, so that nothing is believed
// by accident: Read judges its form, SignedBy whether a key signed it. Which key that may be, and what
// the claims have to say, is the caller's to know.
//
//	text → Read (length, algorithm, critical headers) → Claims → SignedBy → believed
//
// The package also owns which public keys can check such a token, and to which algorithms a key is
// bound. Our own access tokens are read by bridge/token, by keys of our own.
//
// Neighbours: clients (keys that clients publish), oauth (assertions), dpop (proofs). It imports bridge
// alone.
package signed
