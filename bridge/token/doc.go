// Package token makes and checks access tokens (RFC 9068) and decides about refresh tokens.
//
// Signing keys come sealed from the store, are made on first start, and sign with one algorithm
// each. They replace each other, by schedule or by command, without a token being refused:
//
//	next (published ahead) → signing → verifying (its tokens still live) → retired → deleted
//
// or all at once when one has leaked. The list is the store's and changes only as a whole, so that
// replicas agree; a Signer reads it into an immutable set that minting and checking use without a
// lock. A plan is the rule of what the list becomes.
//
// A Signer turns a live grant into an at+jwt with exactly one audience, and reads one back
// only if signature, type, issuer, audience and times are all as it would have written them;
// whether the grant still lives is the caller's next question. A Refresh is a refresh token: the first of a family is
// random, and each leads to one successor. RefreshPolicy holds the refresh
// rule as a pure function that both stores run inside their transactions.
//
// Neighbours: oauth mints, gateway checks, discovery publishes the public keys.
package token
