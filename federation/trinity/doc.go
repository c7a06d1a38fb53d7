// Package trinity speaks to a Trinity backend: it signs people in with Trinity's e-mail code,
// mints and revokes their keys, and asks what a key is still worth.
//
//	mailbox → SignIn: code → Trinity: session → flow (sealed session, account) → consent
//	approved → Credentials.Mint: session → one key, sealed into the grant → SignOut
//	call refused, token refreshed → Credentials.Standing: is the key still the person's?
//	grant ended → queue → Custodian: key revoked at Trinity, retried until it confirms
//
// API is Trinity's wire and nothing else; it decides what an answer means and keeps Trinity's own
// words to itself. SignIn holds the limits that Trinity lacks or shares among everybody: a code
// asked for by anybody may neither tell who has an account, nor fill a mailbox, nor lock all
// others out.
//
// Neighbours: bridge/flow (the flow being signed in), the store (limits, queue of keys to
// revoke), templates (the pages). consent and gateway reach Credentials through bridge/app.
package trinity
