// Package parsers holds the gateway's reading of a request against the upstream's.
//
// A permission is decided on what package jsonrpc makes of a body, and the upstream acts on what Node's JSON.parse and
// FastMCP's transport make of the same bytes. The tests, behind the e2e tag, give both the same bodies: a corpus of
// what parsers are known to read differently, and what random edits make of it. Whatever the gateway takes, the upstream must
// read as the same call; whatever is doubtful, the gateway must refuse.
package parsers
