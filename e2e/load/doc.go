// Package load measures the authorization server under load and prints what it saw as a table.
//
// It starts the real program with synced commits and the simulated Trinity in one process, so the
// figures hold for program, Trinity and generator together on the machine it runs on. Nothing is
// asserted about time; what fails fails because an answer was wrong. Run it with `make load`.
package load
