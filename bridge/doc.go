// Package bridge holds the words of the domain and the small interfaces its stores fulfil.
//
// Nothing flows through this package; everything that flows elsewhere is made of its types:
//
//	client asks → Flow → person signs in → Consent → Grant (pending) + Code
//	code redeemed → Grant (live) + refresh Family → access tokens → calls with the grant's Credential
//	person of a provider → IdentitySession, Link to a Trinity account → Grants with the link's key
//	revoked, expired or refused → Grant (ended) → KeyRevocation until Trinity confirms
//
// It imports nothing of ours. Every other package imports it; the stores under bridge/store
// import nothing else. Rules that stores must apply inside their transactions (is this code use good, may
// this flow still move) are methods of the types here; what a transaction reads and changes is said once
// for all engines in bridge/store/rows. So two engines cannot come to two answers.
package bridge
