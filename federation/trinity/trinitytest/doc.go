// Package trinitytest is a simulated Trinity: the REST backend and the MCP server, over real HTTP.
//
// The demo runs it so that nobody needs a Trinity to try the bridge, and the tests run it because the real
// one cannot be shipped. It speaks Trinity's wire contract as it was read and observed, oddities included,
// and has a switch for each behaviour that differs between versions or goes wrong in the field.
//
//	bridge ── e-mail code, JWT, keys ──→ backend  (login, users/me, keys, validate)
//	   │                                    ↑ POST /api/mcp/validate and each tool's own call, with the caller's key
//	   └──── MCP with a trinity_mcp_* key ──→ MCP server (sessions, streams, Trinity's tool names)
//
// The MCP server is stateful streamable HTTP written by hand, since a library would be too polite to
// answer as the real transport does. Its tools do nothing: each answers a JSON text with tool, arguments,
// username and key_name, and takes whatever arguments it is given. A chat whose message is "slow 3" sends
// three progress notifications first.
//
// Where the contract leaves a text or status open, the simulation's own is used and never relied on by the
// bridge. Not simulated: single sign-on, the internal routes (always 403), rate limits that Trinity does
// not have, and its audit rows.
//
// Neighbours: federation/trinity is the client of the backend, bridge/gateway of the MCP server. This
// package imports nothing of ours and does not need package testing.
package trinitytest
