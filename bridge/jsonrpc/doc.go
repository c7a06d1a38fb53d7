// Package jsonrpc reads what a client posts to an MCP endpoint, in one way only (invariant I9).
//
//	body bytes → Reader.Read → Body{Messages} → the caller decides → forwards the very same bytes
//
// A permission is decided here on what a parser made of a body, and the upstream acts on what its
// own parser makes of it. So whatever two parsers could read differently is refused: members that
// stand twice, members that differ from a known one in case or by a control character, invalid
// UTF-8, bytes after the value, numbers that not every language holds, nesting without end.
//
// Of answers only lists of tools are read: ReadToolLists cuts them out, Append puts them back with a title
// and hints changed and every other byte as it was. Events passes a stream on event by event.
//
// Refusal makes the answers the bridge gives itself, with the id of the request.
//
// Neighbours: tools (judges a Message, changes a list), gateway (reads, decides, forwards).
package jsonrpc
