// Package telemetry counts what happens, for the operator's port.
//
// Audit events and finished requests come in; the Prometheus text format goes out at /metrics.
// Labels are words of ours from fixed sets: no client, person, address or path becomes one, so
// that nobody outside can make series or read people out of them (OP-29).
//
// Neighbours: audit hands its events over, app mounts Handler on the operator's port.
package telemetry
