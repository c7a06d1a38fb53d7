package flow

import (
	"net/http"
	"net/url"

	"github.com/abilityai/trinity-bridge/bridge"
)

// The paths of the pages a flow goes through.
const (
	PathChoose       = "/signin/choose"
	PathLeave        = "/signin/leave"
	PathLink         = "/signin/link"
	PathSignIn       = "/signin"
	PathCode         = "/signin/code"
	PathSecondFactor = "/signin/second-factor"
	PathEnrol        = "/signin/second-factor/new"
	PathRecovery     = "/signin/second-factor/kept"
	PathConsent      = "/consent"
	PathOnward       = "/consent/done"
	PathConnections  = "/connections"
	PathArrive       = "/connections/arrive"
)

// PathCallback is where the browser comes back to from an identity source: each has its own, so that
// the answer of one is never taken for another's (RFC 9700 §4.4).
func PathCallback(source string) string { return PathSignIn + "/" + source + "/callback" }

// PathLogout is where an identity source says that somebody has left.
func PathLogout(source string) string { return PathSignIn + "/" + source + "/logout" }

// LeaveURL is the address that leads to an identity source.
func LeaveURL(flow bridge.Flow, source string) string {
	return PathLeave + "?" + url.Values{"flow": {flow.ID}, "source": {source}}.Encode()
}

// InsteadURL is the address of the mailbox page for somebody who gives up another way to sign in.
func InsteadURL(flow bridge.Flow) string {
	return PathSignIn + "?" + url.Values{"flow": {flow.ID}, "instead": {"code"}}.Encode()
}

// Instead reports whether a request follows InsteadURL.
func Instead(r *http.Request) bool { return r.URL.Query().Get("instead") == "code" }

// Redirect sends the browser on: with 303, so that a form is not sent again (OT-16), and so that neither address is kept
// or told.
func Redirect(w http.ResponseWriter, r *http.Request, target string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// URL is the dispatcher: the page that serves the flow's step. Nothing else in the program
// decides what comes next.
func URL(flow bridge.Flow) string {
	path := PathSignIn
	switch flow.Step {
	case bridge.StepChoose, bridge.StepAway: // whoever comes back without the provider's answer chooses again
		path = PathChoose
	case bridge.StepLink:
		path = PathLink
	case bridge.StepSignIn:
	case bridge.StepCode:
		path = PathCode
	case bridge.StepSecondFactor:
		path = PathSecondFactor
	case bridge.StepEnrol:
		path = PathEnrol
	case bridge.StepRecovery:
		path = PathRecovery
	case bridge.StepConsent:
		path = PathConsent
	case bridge.StepVisit:
		path = PathArrive
	case bridge.StepDecided, bridge.StepFinished:
		path = PathOnward
	}
	return path + "?" + url.Values{"flow": {flow.ID}}.Encode()
}
