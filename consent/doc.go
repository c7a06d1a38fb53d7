// Package consent is the step where a person says yes or no.
//
// A signed-in flow comes in from the dispatcher, a decision goes out. Approving is the only act
// in the program that makes a code (invariant I1): decide calls IssueCode, which consumes the
// flow and stores consent, grant and code in one transaction.
//
//	dispatcher → GET /consent → person → POST /consent → IssueCode → GET /consent/done → client
//
// The page after the decision is of our own origin and sends the browser on, so that the form's
// policy can stay form-action 'self' (B49). The credential of the new grant is minted by
// federation/trinity behind the Credentials interface; this package never talks to Trinity.
//
// Connections is where a person comes back to, without a client: they sign in to see what they have
// allowed, and end it. Its flow is a visit, which has no decision and makes no code.
//
//	dispatcher → GET /connections/arrive → GET /connections → POST /connections/end → EndGrant
//
// Neighbours: flow (state and browser binding), clients (what is shown about who asks), the store.
package consent
