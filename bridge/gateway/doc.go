// Package gateway is the resource server: it lets a call through as the person who allowed it.
//
//	/mcp… → origin → credential → grant → body and headers → tool → scope → session → upstream → answer
//
// There is one endpoint for each profile of tools, a resource of its own. Answers go on as they come,
// save that a list of tools is held until it is whole and made the caller's.
//
// Two kinds of credential are taken and never mixed: access tokens of this issuer, which stand for
// a grant, and Trinity's own static keys, which are passed on. What goes upstream is a new request
// made from an allow-list, with the grant's key; what comes back is an allow-list again, and the
// upstream's refusals, redirects and failures are told in the bridge's own words.
//
// How long things last:
//
//   - A call that was allowed runs to its end, also past its token's expiry: the token allowed the
//     request, and hour-long tool calls are ordinary. Streams that only listen (GET,
//     subscriptions/listen) end a minute after their token, so that a client shows a fresh one (GW-37).
//   - The grant is read on every request, and again every few seconds while an answer lasts: whatever
//     a revoked grant has open is cut (I10).
//   - A client that disconnects withdraws its request in MCP 2026-07-28. In the revisions before,
//     that means nothing: a POST's work goes on upstream, for ten minutes at most, and its answer is
//     read and dropped. GET streams end at once in every revision (GW-35).
//
// Neighbours: token (what an access token says), tools (what a caller sees, which scope a call needs), jsonrpc (reads
// bodies), discovery (challenges), outbound (the transport), audit. The store, Trinity's word on a
// key and the opened key come in through the small interfaces beside Options.
package gateway
