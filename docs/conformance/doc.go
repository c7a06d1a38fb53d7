// Command conformance writes docs/conformance.md: which rule of the specifications the bridge keeps,
// and which test shows it.
//
// The rules come in from rules.yaml, what has broken real clients elsewhere from behaviours.yaml, the clients
// from clients.yaml, and the tests from the module's own sources, which say the id of each rule they check. The page goes out; its test fails when the page, a
// rule or a client speaks of something that is not so.
//
//	rules.yaml, behaviours.yaml, clients.yaml ─┐
//	*_test.go ─────────────────────────────────┴→ page → docs/conformance.md
//
// Nothing is run here: that the named tests pass is what `make test` and `make e2e` show.
package main
