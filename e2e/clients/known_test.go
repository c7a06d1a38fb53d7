//go:build e2e || clients

package clients

import "testing"

// What is known to go wrong. Empty is the goal; a line whose fault is gone must go too.
var expectedFailures = map[string]bool{}

const stepUpEndsSession = "step-up ends the MCP session"

// wantKnown wants the fault to show if and only if it is an expected failure.
func wantKnown(t *testing.T, fault string, shown bool) {
	t.Helper()
	switch {
	case shown && !expectedFailures[fault]:
		t.Error(fault)
	case !shown && expectedFailures[fault]:
		t.Errorf("an expected failure is gone, take it off the list: %s", fault)
	}
}
