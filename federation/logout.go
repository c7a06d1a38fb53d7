package federation

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
)

const maxLogoutBytes = 32 << 10

// Logout is a provider's word that a person's session there is over: one of its sessions, or all of
// the subject's.
type Logout struct {
	Issuer, Subject, SID string
	ID                   string    // of the token that says so
	At                   time.Time // when that was; zero is now
	Until                time.Time // how long the token has to be remembered
}

// Mount adds where providers say that somebody has left. No cookie counts there: the back channel is
// a call of the provider's server, the front channel an invisible frame in the person's browser.
func (p *Presence) Mount(r *mux.Router) {
	for _, source := range p.Sources {
		r.HandleFunc(flow.PathLogout(source.Name), p.backChannel(source)).Methods(http.MethodPost)
		r.HandleFunc(flow.PathLogout(source.Name), p.frontChannel(source)).Methods(http.MethodGet)
	}
}

// backChannel takes a logout token (OIDC Back-Channel Logout §2.5). 200 means that everything it is
// about is over; a provider whose token was not taken, or not yet, learns why in the form of §2.8.
func (p *Presence) backChannel(source Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxLogoutBytes)
		if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.ParseForm() != nil || len(r.PostForm["logout_token"]) != 1 {
			p.refuse(w, r, source, http.StatusBadRequest, errors.New("no logout_token in a form"))
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), askTime)
		defer cancel()
		said, err := source.Provider.LoggedOut(ctx, r.PostForm.Get("logout_token"))
		if errors.Is(err, ErrRefused) {
			p.refuse(w, r, source, http.StatusBadRequest, err)
			return
		}
		if err == nil {
			err = p.leave(ctx, source, said)
		}
		if errors.Is(err, errReplayed) {
			p.refuse(w, r, source, http.StatusBadRequest, err)
			return
		}
		if err != nil {
			p.refuse(w, r, source, http.StatusServiceUnavailable, err)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusOK)
	}
}

var errReplayed = errors.New("the logout token was used before")

// leave ends every session the provider's word is about. The token is used up last, so that one whose
// work failed can be sent again; shown once more, it is about nothing that began since.
func (p *Presence) leave(ctx context.Context, source Source, said Logout) error {
	if err := p.signOut(ctx, said); err != nil {
		return err
	}
	fresh, err := p.Store.UseOnce(ctx, "logout "+source.Name, said.Issuer+" "+said.ID, said.Until, p.Now())
	if err == nil && !fresh {
		return errReplayed
	}
	return err //nolint:wrapcheck // the store says what it is
}

// signOut ends the sessions that a logout is about, and that were there when it happened.
func (p *Presence) signOut(ctx context.Context, said Logout) error {
	sessions, err := p.Store.OpenIdentities(ctx, said.Issuer, said.Subject, said.SID)
	if err != nil {
		return err //nolint:wrapcheck // the store says what it is
	}
	for _, session := range sessions {
		if !said.At.IsZero() && session.CreatedAt.After(said.At) {
			continue
		}
		_, ended, _, err := p.Store.EndIdentity(ctx, session.ID, bridge.EndSignedOut, p.Now())
		if err != nil {
			return err //nolint:wrapcheck // the store says what it is
		}
		p.told(ctx, ended, "source "+session.Source)
	}
	return nil
}

// frontChannel takes a logout by way of the browser (OIDC Front-Channel Logout §2). It is nobody's
// word but that of who knows the session's id, which the provider and we alone do, and so it can end
// a session and do nothing else.
func (p *Presence) frontChannel(source Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		if len(query["iss"]) != 1 || len(query["sid"]) != 1 || query.Get("sid") == "" || !source.Provider.IsIssuer(query.Get("iss")) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if err := p.signOut(r.Context(), Logout{Issuer: query.Get("iss"), SID: query.Get("sid")}); err != nil {
			p.Log.ErrorContext(r.Context(), "a logout by the front channel failed", "request_id", audit.RequestID(r.Context()), "error", err)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	}
}

func (p *Presence) refuse(w http.ResponseWriter, r *http.Request, source Source, status int, why error) {
	p.Log.WarnContext(r.Context(), "a logout was not taken", "request_id", audit.RequestID(r.Context()), "source", source.Name, "error", why)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	code := "invalid_request"
	if status == http.StatusServiceUnavailable {
		code = "temporarily_unavailable"
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code}) // the provider may be gone
}
