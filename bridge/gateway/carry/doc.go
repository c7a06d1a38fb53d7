// Package carry lets clients of MCP 2026-07-28, which has no sessions, call an upstream of the
// revisions before, which serves nobody without one.
//
//	a call → Upstream.Stateless? no → Take a session → the call goes on in it → Done with it
//
// A session serves one call at a time and one owner ever: a grant, or a static key. So no two calls
// can meet in it by their request ids, whatever ids their clients choose, and nobody's call runs in
// another's session. Sessions are opened when they are needed and kept for the owner's next call; an
// upstream that has forgotten one is given a new one by the caller. They are ended, with DELETE, when
// they were idle for too long, when their owner ends, and when the program does.
//
// The session promises the upstream nothing: its client has no sampling, no elicitation and no roots.
// Why it is so is in docs/decisions/0017.
//
// Neighbours: gateway, which decides who may call what, carries the call and rewrites the answer.
package carry
