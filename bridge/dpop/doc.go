// Package dpop checks that whoever shows a token holds the key it is bound to (RFC 9449).
//
// The lines of a DPoP field come in, with what is known of their request; the thumbprint of a key comes
// out, or an error that the client may read. A proof is first judged and then used: judging asks nobody,
// so that it can be done before anything is known of who asks; using it writes to the store, after
// which it is good for nothing more.
//
//	DPoP field → Check (form, signature, method, address, time, token, nonce) → Use (once) → key
//
// What a key is good for is the caller's to know: oauth binds tokens, codes and refresh families to it,
// gateway holds it against the one in the access token.
//
// Nonces are stateless: a time and a code of authenticity over it, so that every replica takes those of
// every other.
//
// Neighbours: signed (reads what the client signed). The store's memory of what was used comes in
// through bridge.ReplayStore.
package dpop
