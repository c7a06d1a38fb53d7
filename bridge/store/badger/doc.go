// Package badger is the embedded store: bridge.Store in one folder of one process.
//
// Reads go straight to the engine. Every write is a closure handed to one writer goroutine, which
// runs them one after the other, so that two can never conflict, and gathers their changes. Up to maxBatch of
// them are one engine transaction and one sync of its log, on a second goroutine; meanwhile the
// next ones run and see what the ones before them changed. While the writer is busy, callers run their
// closures ahead, and the writer runs again only those that read what was changed since (ahead.go).
//
//	caller → closure → queue → writer: read, decide, keep changes aside → commit → sync → watermark → answers
//
// A closure that refuses has changed nothing. Of a closure whose caller went away before the writer
// took it nothing is kept; one that was taken is waited for. When a commit or sync fails the store
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
// The engine maps its tables, and what was read of them counts as the program's memory. It is given back
// when that comes to much (mapped.go).
//
// Neighbours: bridge (the interfaces), bridge/store/rows (the methods), bridge/store/storetest (what
// every engine must pass). Nothing else of ours.
package badger
