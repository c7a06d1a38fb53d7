package flow

import (
	"errors"
	"net/http"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/templates"
)

// Problem is the page for an error of this package: one answer for one error, whichever step met
// it. Any other error is our own trouble ("internal", 503: nothing is known to be stored), which
// the caller logs. The caller adds the request's reference.
func Problem(err error) templates.ProblemPage {
	switch {
	case errors.Is(err, ErrGone):
		return templates.ProblemPage{Status: http.StatusGone, Key: "flow-gone"}
	case errors.Is(err, ErrOtherBrowser):
		return templates.ProblemPage{Status: http.StatusForbidden, Key: "other-browser"}
	case errors.Is(err, ErrForged):
		return templates.ProblemPage{Status: http.StatusForbidden, Key: "forged"}
	case errors.Is(err, ErrNotAForm):
		return templates.ProblemPage{Status: http.StatusUnsupportedMediaType, Key: "not-a-form"}
	case errors.Is(err, ErrTooMany):
		return templates.ProblemPage{Status: http.StatusTooManyRequests, Key: "too-many"}
	}
	if errors.Is(err, bridge.ErrReadOnly) {
		return templates.ProblemPage{Status: http.StatusServiceUnavailable, Key: "store-down"}
	}
	return templates.ProblemPage{Status: http.StatusServiceUnavailable, Key: "internal"}
}
