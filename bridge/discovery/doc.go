// Package discovery answers the first questions of every client: which authorization server
// guards this resource, and where are its endpoints.
//
// It serves the protected resource metadata (RFC 9728), the authorization server metadata
// (RFC 8414) and the key set (RFC 7517), all built once from configuration, and makes every
// WWW-Authenticate challenge. Any other well-known path is a JSON 404, for an HTML page or a
// redirect there sends clients into loops (B14, B15).
//
// Neighbours: gateway and oauth take their challenges from here; app mounts it.
package discovery
