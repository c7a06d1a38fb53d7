package federation

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"golang.org/x/oauth2"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// leave sends the browser to a source. What must come back is made and stored right before, in the
// place of what an earlier trip left (GW-55).
func (s *Step) leave(w http.ResponseWriter, r *http.Request) {
	current, err := s.Flows.Current(r)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	source, ok := s.Source(r.URL.Query().Get("source"))
	if !ok || !slices.Contains(unsigned(), current.Step) {
		flow.Redirect(w, r, flow.URL(current))
		return
	}
	trip, err := s.newTrip(current)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), flow.AskTime)
	defer cancel()
	address, err := source.Provider.Depart(ctx, trip)
	if err != nil {
		s.failed(w, r, current, failureOf(source, err))
		return
	}
	sealed, err := s.seal(current.ID, trip)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	current, err = s.Flows.Update(r.Context(), current.ID, func(f *bridge.Flow) error {
		if !slices.Contains(unsigned(), f.Step) {
			return flow.ErrGone
		}
		f.Step, f.SignIn = bridge.StepAway, bridge.SignIn{Source: source.Name, Trip: sealed}
		return nil
	})
	if err != nil {
		s.problem(w, r, err)
		return
	}
	flow.Redirect(w, r, address)
}

// newTrip makes the secrets of a trip. Its state begins with the flow's id, so that the answer leads
// back to it.
func (s *Step) newTrip(current bridge.Flow) (Trip, error) {
	state, err := secret.Random(s.Rand, current.ID+".")
	if err != nil {
		return Trip{}, err
	}
	nonce, err := secret.Random(s.Rand, "")
	if err != nil {
		return Trip{}, err
	}
	trip := Trip{State: state, Nonce: nonce, Verifier: secret.New(oauth2.GenerateVerifier())}
	if hint := current.Request.LoginHint; strings.Contains(hint, "@") && len(hint) <= 254 {
		trip.Hint = hint
	}
	return trip, nil
}

// sealedTrip is a trip in the clear, on its way into or out of its seal.
type sealedTrip struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
}

func (s *Step) seal(flowID string, trip Trip) ([]byte, error) {
	plain, err := json.Marshal(sealedTrip{trip.State.Reveal(), trip.Nonce.Reveal(), trip.Verifier.Reveal()})
	if err != nil {
		return nil, err //nolint:wrapcheck // three texts
	}
	return s.Flows.SealTrip(flowID, plain), nil
}

func (s *Step) open(current bridge.Flow) (Trip, error) {
	plain, err := s.Flows.OpenTrip(current)
	if err != nil {
		return Trip{}, err
	}
	var trip sealedTrip
	if err := json.Unmarshal(plain, &trip); err != nil {
		return Trip{}, err //nolint:wrapcheck // what seal wrote
	}
	return Trip{State: secret.New(trip.State), Nonce: secret.New(trip.Nonce), Verifier: secret.New(trip.Verifier)}, nil
}
