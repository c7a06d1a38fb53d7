// Package crash kills the program in the middle of what its clients do, and looks whether it keeps
// its word.
//
//	clients → token endpoint → each 200 is noted → SIGKILL → start → everything noted must hold
//
// The program runs in a process of its own, this test binary started again; the clients and the simulated
// Trinity outlive it. It is killed by the clock, also while it starts, at the n-th system call of a
// kind, and after the n-th has failed, which strace does; and the power is cut of the disk it works on, which
// loses what was not synced. Nothing is repaired between two rounds, and all rounds share one store.
//
// The tests run a few rounds; `make crash` runs thousands and prints a table. Neighbours: bridgetest
// (walking a person through sign-in), powercut (the disk), bridge/app (the program).
package crash
