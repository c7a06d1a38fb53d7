// Package oauth is the protocol: authorize, pushed requests, token, register, revoke and introspect.
//
// A client's request comes in; a flow, a token, a client id or an error of the RFCs goes out.
// Authorize checks who asks and where the answer goes before anything else and then hands the
// browser to the dispatcher; it never makes a code (invariant I1: consent does). Token has one
// file per grant type; each validates everything first and then makes one store call that
// decides. Errors are *bridge.Error values, written as JSON in one place here.
//
// Neighbours: clients (who asks), flow (begins one), token (mints), dpop and signed (what clients prove), rates (how
// often they may fail and register), the store (decides).
package oauth
