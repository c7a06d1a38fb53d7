// Package outbound holds the only HTTP clients of the program (invariant I5).
//
// Requests to Trinity's backend, to the upstream MCP server and to identity providers go out
// here, and so do those to the hosts of strangers; nothing else opens a connection. There are three
// kinds of client:
//
//	Client      one configured host, many requests: keeps connections, bounds time and size
//	ForOrigins  a configured identity provider, through its library: the same bounds, JSON alone
//	Guard       any host a stranger names: https, public addresses only, one small document, rarely
//
// None takes a proxy from the environment or follows a redirect, so that a broken or hostile peer
// costs a known amount and leads nowhere else.
//
// Neighbours: federation/trinity (backend calls), federation/oidc (providers), gateway (the
// upstream's transport), clients (documents and keys of clients, through the guard), rates (how often strangers are asked).
package outbound
