// Package secret keeps secrets from being printed, stored in clear or mixed up.
//
// Bearer values that only need comparing go in as Token and come out as bridge.Hash. The few
// that must be read again (Trinity keys, signing keys, a flow's Trinity session) go through a
// Keyring, which seals them under keys derived from the deployment's master secret and binds
// each to the row it belongs to, so that a stolen store yields nothing and rows cannot be swapped.
// A store seals its rows as a whole, too, under a RowKey of its own that the Keyring wraps.
//
// Both seal with AES-SIV (siv.go), which takes no nonce. What programs of before sealed with AES-256-GCM and XAES-256-GCM
// (gcm.go) is opened, and no more made; the frames of a stream are sealed with AES-256-GCM, for they are counted.
//
// Neighbours: bridge (Hash). Everything that touches a credential imports this package.
package secret
