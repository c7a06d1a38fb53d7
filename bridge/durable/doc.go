// Package durable makes what is done to names in a folder last, and gives files their names when they are whole.
//
// A file flows through that was written and synced beside the name it is to have; it comes out under that name, on the
// disk. bridge/secret and bridge/app use it; it knows none of ours.
package durable
