// Package programtest runs programs as their users do, the bridge among them, and reads what they print.
//
//	Machine: what is built and installed  →  Home: one person's files  →  Program: a process at work
//	Trinity: a simulated one in this process  →  Bridge: the built program before it, or the demo
//
// A program sees nothing of its surroundings but its home, is ended with the test, and has its output shown when the
// test fails.
//
// Neighbours: bridgetest starts the bridge within the test's own process, with a clock of the test's. Here the bridge is
// a process that can be killed. Packages e2e and clients are made of this one.
package programtest
