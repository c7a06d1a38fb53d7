// Package rows is what every store does, whatever holds its rows.
//
// A method of bridge.Store comes in and becomes a few reads and changes of rows inside one
// transaction of an engine: Badger's, or PostgreSQL's. Which rows, under which rule and in which
// order is said here once, so that two engines cannot come to two answers.
//
//	caller → Store.RedeemCode → Engine.Write(closure) → Tx.Get, decide, Tx.Put → the engine's commit
//
// A row is a kind, an id and a record: one version byte and packed fields, or JSON. Each carries its own expiry, judged
// by the time the caller passes. Places say where indexes lead to a row; the engine keeps them as it
// likes. Spent codes and ended grants are rows too, and a refresh token of long ago is known by what all tokens
// of its family share, which is in the row of their grant: a missing row never means "used" or "revoked".
//
// Rows are read in one order: what a code leads to, its grant, then the key revocation, the client, and rows
// of the whole deployment last. An engine that locks rows as they are read so meets no deadlock on these paths.
//
// Neighbours: bridge (the interfaces and the rules); bridge/store/badger and bridge/store/postgres
// are the engines; bridge/store/storetest is what both must pass.
package rows
