// Package admission decides who may come in through an identity source, and with how much.
//
// Claims that were checked elsewhere come in, a verdict goes out: the rule that let the person in
// with the scopes and profiles it names, or why none did. It is a pure function of rules and
// claims: the sign-in, the re-checks of later, identity assertions and `trinity-bridge access
// explain` all ask the same one.
//
//	ID token and userinfo, or an assertion → Claims → Policy.Decide → Verdict → bridge.Admission
//
// Rules are tried in the order they stand and the first that holds decides. Nothing is ever
// assumed: a claim that is missing or has another form than it should holds for nothing, and where
// groups did not come whole, a rule that looks at them ends the trying (FB-22).
//
// Neighbours: bridge/config writes policies, federation and oauth ask them. It imports bridge alone.
package admission
