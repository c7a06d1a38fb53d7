// Package outbound holds the only HTTP clients of the program (invariant I5).
//
// Requests to Trinity's backend, to the upstream MCP server and to identity providers go out
// here, and so do those to the hosts of strangers; nothing else opens a connection. There are two
// kinds of client:
//
//	Client  one configured host, many requests: keeps connections, bounds time and size
//	Guard   any host a stranger names: https, public addresses only, one small document, rarely
//
// Neither takes a proxy from the environment or follows a redirect, so that a broken or hostile
// peer costs a known amount and leads nowhere else.
//
// Neighbours: federation/trinity (backend calls), gateway (the upstream's transport), clients
// (documents and keys of clients, through the guard).
package outbound
