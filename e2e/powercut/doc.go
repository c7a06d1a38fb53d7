// Package powercut is a disk that can lose its power.
//
// Disk is a file system in memory, mounted for the program under test, which runs in another process. It
// keeps apart what was written and what is safe: the pages and the length of a file are safe once the file
// was synced, the names in a folder once the folder was. Cut keeps what is safe, and of
// the rest what chance leaves: all of a file, nothing, some pages, some sectors; of the names some.
//
//	program → write, map, sync, rename → kernel → Disk: written | safe → Cut → what the next start finds
//
// The disk may also write a page early, as real ones do, so that an unsynced file can hold anything between
// two syncs. Pages changed through a mapping come when the kernel writes them: with a sync, or as the process dies.
//
// It can also fail a sync, when told so.
//
// The one promise beyond the letter of POSIX is that of the usual file systems of Linux: syncing a file
// also keeps its name. A disk made by Strict does not give it.
//
// Neighbours: e2e/crash and bridge/store/badger, which cut the power of what they run.
package powercut
