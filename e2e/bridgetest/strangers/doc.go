// Package strangers is the internet as a test needs it: names with scripted addresses, hosts with
// certificates of a private authority, and a note of every name looked up and every address
// dialled.
//
// A World hands out the options of an outbound.Guard. The guard does all its checks on the
// addresses the script gives; only then is the dial led to a server of the test on loopback. An
// address that no host of the world has is refused, as a closed port is.
package strangers
