// Package storetest is the one suite every engine must pass.
//
// An engine's own test hands Run a function that makes an empty place for data and returns how to
// open a store there; everything else is here: each outcome of each method with its twins for
// absent fields, races behind a barrier, what survives closing and opening again, what Sweep may
// and may not take, and a model of refresh families (invariant I3) compared step by step.
//
// Names carry the ids of the attack catalogue (TK-, OP-, DC-). Neighbours: bridge only; bridge/store/badger and
// bridge/store/postgres run it. What is particular to one engine (locks, settings, crashes) is tested beside that engine.
package storetest
