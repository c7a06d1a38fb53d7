// Package remember keeps the live grants that are in use in memory, so that a call need not read and
// decode its grant from the store each time.
//
//	write → Store.EndGrant → the engine commits → the copy is forgotten → whoever watches is told → the writer's answer
//	call → Store.Remembered().Grant → the copy, or the engine
//
// What another replica changed is heard of from the engine (bridge.GrantWatch).
//
// A copy is forgotten before the write that made it old returns, so that on one replica nobody who
// asks after a change was acknowledged sees what was before it (I10). A read that was under way while
// its grant changed is not kept. Only live grants are kept: what has ended, and what is not there, is
// asked of the engine each time.
//
// Neighbours: bridge (the interfaces), the engines beside it; app puts it in front of one.
package remember
