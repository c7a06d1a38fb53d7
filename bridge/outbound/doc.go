// Package outbound holds the only HTTP clients of the program (invariant I5).
//
// Requests to Trinity's backend, to the upstream MCP server and to identity providers go out
// here; nothing else opens a connection. A client is made for one configured host. It takes no
// proxy from the environment, follows no redirect, and bounds time and size, so that a broken
// or hostile peer costs a known amount.
//
// Neighbours: federation/trinity (backend calls), gateway (the upstream's transport).
package outbound
