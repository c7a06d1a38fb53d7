// Package audit writes the audit trail: who allowed what, what was refused, what ended and why.
//
// Events come in from every endpoint with ids and reasons; they go out to the log at once, one
// line each, and to the store in batches behind the request. Secrets, arguments and addresses
// have no field to go into.
//
// Neighbours: bridge (AuditEvent, AuditStore). It also carries the request's reference through
// the context, since the reference is what joins log, trail and the page a person sees.
package audit
