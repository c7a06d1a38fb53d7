// Package federation is where people prove who they are.
//
// The bridge holds no passwords: a flow comes in from the dispatcher with nobody signed in and
// leaves with a person and the Trinity account behind them. There are two kinds of identity source,
// and a deployment has Trinity's, some companies', or both:
//
//	dispatcher → federation/trinity: e-mail code, second factor → dispatcher → consent
//	dispatcher → Step: choice → Provider.Depart → away → Provider.Return → admission → link? → consent
//
// Step is the chooser and the way to a Provider and back; federation/oidc is the one Provider there
// is. A person is an issuer and a subject, never an e-mail address (invariant I6): two sources never
// make one person. Whom a source's rules admit but who has no Trinity account here yet goes on to
// federation/trinity, which proves the account once and makes a link.
//
// Neighbours: federation/trinity (the account, and what becomes of Trinity's keys later),
// bridge/admission (the rules), bridge/flow (the flow being signed in), templates (the pages).
package federation
