// Package token makes and checks access tokens (RFC 9068) and decides about refresh tokens.
//
// Signing keys come sealed from the store, are made on first start, and sign with one algorithm
// each. A Signer turns a live grant into an at+jwt with exactly one audience, and reads one back
// only if signature, type, issuer, audience and times are all as it would have written them;
// whether the grant still lives is the caller's next question. RefreshPolicy holds the refresh
// rule as a pure function that both stores run inside their transactions.
//
// Neighbours: oauth mints, gateway checks, discovery publishes the public keys.
package token
