// Package badger is the embedded store: bridge.Store in one folder of one process.
//
// Reads go straight to the engine. Every write is a closure handed to one writer goroutine,
// which runs up to maxBatch of them in one engine transaction and so pays one disk sync for
// all of them; two writes can never conflict.
//
//	caller → closure → queue → writer: read, decide, keep changes aside → one commit → answers
//
// A closure that refuses has changed nothing. A closure whose caller went away before the writer
// took it is never run; one that was taken is waited for. When a commit or sync fails the store
// takes no further writes until it is opened again: what the disk holds is then not known, and
// trying once more would hide it. When the disk is nearly full writes are refused before the
// engine is touched, because the engine maps its files and a full disk would kill the process.
//
// After each batch the writer notes in a watermark outside the folder how far the store has come, and
// Open refuses a store that does not come up to it: the engine opens without a word when the end of its
// log is damaged or its folder is yesterday's (docs/decisions/0020).
//
// What the rows are and which of them a method reads and changes is the business of bridge/store/rows;
// here they are keys and sealed values in the engine's order, and the folder alone shows nothing. The
// engine's own time to live is only a broom behind a row's own expiry.
//
// Neighbours: bridge (the interfaces), bridge/store/rows (the methods), bridge/store/storetest (what
// every engine must pass). Nothing else of ours.
package badger
