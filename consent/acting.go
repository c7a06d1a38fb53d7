package consent

import (
	"errors"
	"net/http"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/templates"
)

// self is what everybody may act as.
var self = bridge.ActingAs{Kind: bridge.ActAsUser}

// actingChoices are what the person may be in this connection: themselves first, and ticked. There is
// nothing to choose, and nothing shown, where the operator lends nothing.
func (s *Step) actingChoices(current bridge.Flow) []templates.ActingChoice {
	offered := s.Credentials.Offered(current.SignIn)
	if len(offered) == 0 {
		return nil
	}
	choices := []templates.ActingChoice{{Value: self.String(), Kind: string(self.Kind), Ticked: true}}
	for _, as := range offered {
		choices = append(choices, templates.ActingChoice{
			Value: as.String(), Kind: string(as.Kind), Agent: as.Agent, Warning: as.Kind == bridge.ActAsSystem,
		})
	}
	return choices
}

// chosenActing reads what the person chose to be, from what they may be at this moment. A form that
// does not say is good where nothing was to be chosen.
func (s *Step) chosenActing(posted []string, current bridge.Flow) (bridge.ActingAs, string) {
	offered := s.Credentials.Offered(current.SignIn)
	if len(posted) == 0 && len(offered) == 0 {
		return self, ""
	}
	if len(posted) == 1 {
		for _, as := range append([]bridge.ActingAs{self}, offered...) {
			if posted[0] == as.String() {
				return as, ""
			}
		}
	}
	return bridge.ActingAs{}, "consent.no_acting"
}

// lend makes sure that the operator's key is what the person was shown. It reports whether there is
// an answer already.
func (s *Step) lend(w http.ResponseWriter, r *http.Request, current bridge.Flow, as bridge.ActingAs) (bridge.ActingAs, bool) {
	if as == self {
		return self, false
	}
	lent, err := s.Credentials.Lend(r.Context(), as)
	switch {
	case errors.Is(err, bridge.ErrNotFound):
		s.Log.ErrorContext(r.Context(), "what the operator lends cannot be lent", "request_id", audit.RequestID(r.Context()), "error", err)
		s.page(w, r, http.StatusBadGateway, current, "consent.acting_wrong")
	case err != nil:
		s.mintFailed(w, r, current, err)
	default:
		return lent, false
	}
	return bridge.ActingAs{}, true
}
