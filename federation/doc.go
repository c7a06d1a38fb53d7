// Package federation is where people prove who they are.
//
// The bridge holds no passwords: a flow comes in from the dispatcher with nobody signed in and
// leaves with a person, the Trinity account behind them and a session that can mint a key. How
// that is done is the business of one package per identity source:
//
//	dispatcher → federation/trinity: e-mail code, second factor → dispatcher → consent
//
// Trinity's e-mail code is the only source, so there is nothing here to choose between and no
// interface to hide it behind.
//
// Neighbours: federation/trinity (the source, and what becomes of Trinity's keys later).
package federation
