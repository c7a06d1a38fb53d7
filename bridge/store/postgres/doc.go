// Package postgres is the store of several replicas: bridge.Store in one PostgreSQL database.
//
// A closure of bridge/store/rows runs in one transaction. Every row it gets is locked (select … for
// update, read committed), so that of many who present a code or a refresh token one goes first and the
// others see what it did. What is changed is kept aside and sent with the commit as one message; a
// refusal sends nothing. A row that was found missing cannot be locked: who makes it first wins, and the
// others run again (unique violation), as they do after a deadlock. Clients, which many connections have in
// common, are locked only by who changes one.
//
//	closure → begin + select … for update → decide → insert, update, notify, commit → answer
//
// A grant that changed is told to this process before the change is acknowledged, and to the other
// replicas by NOTIFY; each replica also asks twice a second what changed since it asked last, so that
// nothing is missed where notifications are. While it cannot ask, it says that every grant may have
// changed. One replica leads, which holds an advisory lock, and does what is to be done once. It counts beats in the
// database, by which the others notice one that was put back.
//
// Acknowledged means committed with the server's fsync and synchronous_commit on: a server without them
// is refused, or set right. Every statement, transaction and wait for a connection is bounded.
//
// Neighbours: bridge (the interfaces), bridge/store/rows (the methods), bridge/store/storetest (what
// every engine must pass). Nothing else of ours.
package postgres
