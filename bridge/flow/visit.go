package flow

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// VisitLife is how long a person may look at their connections before they sign in again.
const VisitLife = 15 * time.Minute

const flowValue = "flow"

// A visit's cookie has one name, so that the page finds it at an address that anybody can type. There
// is one visit in a browser; the cookies of other flows are not looked at for it, nor it for them.

// BeginVisit begins the sign-in of a visit.
func (k *Keeper) BeginVisit(w http.ResponseWriter, r *http.Request) (bridge.Flow, error) {
	return k.begin(w, r, bridge.Flow{Visit: true})
}

// Arrive makes the signed-in flow of a browser its visit: it gets a cookie of its own, so that whoever
// knew the sign-in's is left with nothing (FB-03), and its own time. What only signing in needed is
// forgotten. The flow is returned as it was before.
func (k *Keeper) Arrive(w http.ResponseWriter, r *http.Request) (bridge.Flow, error) {
	before, err := k.Current(r)
	if err != nil {
		return bridge.Flow{}, err
	}
	if !before.Visit || before.Step != bridge.StepVisit || before.SignIn.Person.IsZero() {
		return bridge.Flow{}, ErrGone
	}
	browser, err := secret.Random(k.rand, "")
	if err != nil {
		return bridge.Flow{}, err
	}
	_, err = k.Update(context.WithoutCancel(r.Context()), before.ID, func(f *bridge.Flow) error {
		if f.Browser != before.Browser {
			return ErrGone // the same request, sent twice
		}
		f.Browser, f.ExpiresAt = browser.Hash(), k.now().Add(VisitLife)
		f.SignIn = bridge.SignIn{
			Source: f.SignIn.Source, Person: f.SignIn.Person, Account: f.SignIn.Account, At: f.SignIn.At,
			Identity: withoutRefresh(f.SignIn.Identity), Link: f.SignIn.Link,
		}
		return nil
	})
	if err != nil {
		return bridge.Flow{}, err
	}
	k.Release(w, before)
	return before, k.bind(w, r, tie{k.visit, map[any]any{flowValue: before.ID, browserValue: browser.Reveal()}, VisitLife})
}

// withoutRefresh is a session at a provider that is asked nothing any more.
func withoutRefresh(session *bridge.IdentitySession) *bridge.IdentitySession {
	if session == nil {
		return nil
	}
	kept := *session
	kept.Refresh = nil
	return &kept
}

// Visit returns the visit of a browser. ErrOtherBrowser without the cookie of one, ErrGone when it is
// over.
func (k *Keeper) Visit(r *http.Request) (bridge.Flow, error) {
	session, err := k.cookies.New(r, k.visit)
	id, _ := session.Values[flowValue].(string)
	if err != nil || id == "" {
		return bridge.Flow{}, ErrOtherBrowser
	}
	flow, err := k.find(r.Context(), id)
	if err != nil {
		return bridge.Flow{}, err
	}
	if flow, err = k.opened(flow, session); err != nil {
		return bridge.Flow{}, err
	}
	if !flow.Visit || flow.Step != bridge.StepVisit {
		return bridge.Flow{}, ErrGone
	}
	return flow, nil
}

// VisitPosted is Posted for the forms of a visit's page, which need not name it.
func (k *Keeper) VisitPosted(w http.ResponseWriter, r *http.Request) (bridge.Flow, error) {
	return k.posted(w, r, k.Visit)
}

// EndVisit ends a visit for good, whoever holds its cookie.
func (k *Keeper) EndVisit(w http.ResponseWriter, r *http.Request, visit bridge.Flow) error {
	_, err := k.Update(context.WithoutCancel(r.Context()), visit.ID, func(f *bridge.Flow) error {
		f.Step, f.SignIn = bridge.StepFinished, bridge.SignIn{}
		return nil
	})
	if err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	k.drop(w, k.visit)
	return nil
}

// FromOutside reports whether another site had the browser make the request. Browsers that do not say
// are believed.
func FromOutside(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}
