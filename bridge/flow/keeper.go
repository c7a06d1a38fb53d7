package flow

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/secret"
)

// Life is how long a flow may take from authorize to its decision (design §6).
const Life = 10 * time.Minute

const (
	maxFormBytes  = 16 << 10
	browserValue  = "browser"
	ticketPurpose = "form ticket"
)

// Errors of a step's request. Each is a page.
var (
	// ErrGone: no such flow, expired, or already finished.
	ErrGone = errors.New("this sign-in is over")
	// ErrOtherBrowser: the flow was begun in another browser (FB-02, CO-09, GW-61).
	ErrOtherBrowser = errors.New("this sign-in was begun in another browser")
	// ErrForged: the form did not come from our own page for this flow, person and step (CO-01, CO-05).
	ErrForged = errors.New("this form was not sent by our own page")
	// ErrTooMany: too many flows begin at once, in all or in the network of this browser.
	ErrTooMany = errors.New("too many sign-ins begin at once")
	// ErrNotAForm: another content type, or a body that is no form (CO-04).
	ErrNotAForm = errors.New("this is not a form")
)

// Options are what a Keeper needs.
type Options struct {
	Store  bridge.FlowStore
	Ring   *secret.Keyring
	Issuer *url.URL
	Now    func() time.Time
	Rand   io.Reader
	// First is where flows begin: StepChoose where there is something to choose, else StepSignIn.
	First bridge.Step
	// Allow counts a flow that a browser begins, and reports whether it may; nil lets all of them.
	Allow func(r *http.Request) bool
}

// Keeper begins flows and gives each to its own browser only.
type Keeper struct {
	store   bridge.FlowStore
	ring    *secret.Keyring
	cookies *sessions.CookieStore
	prefix  string
	visit   string // the name of a visit's cookie
	issuer  string
	now     func() time.Time
	rand    io.Reader
	first   bridge.Step
	allow   func(r *http.Request) bool
}

// New makes a Keeper. Cookies are __Host- cookies wherever the issuer is https; a loopback http
// issuer has plain ones, since several browsers and HTTP clients drop Secure cookies there.
func New(o Options) *Keeper {
	var pairs [][]byte
	for _, key := range o.Ring.DeriveAll("flow cookie") {
		pairs = append(pairs, key, nil)
	}
	k := &Keeper{
		store: o.Store, ring: o.Ring, cookies: sessions.NewCookieStore(pairs...),
		prefix: "trinity-flow-", visit: "trinity-visit", issuer: o.Issuer.String(), now: o.Now, rand: o.Rand, first: o.First, allow: o.Allow,
	}
	if k.first == "" {
		k.first = bridge.StepSignIn
	}
	https := o.Issuer.Scheme == "https"
	if https {
		k.prefix, k.visit = "__Host-"+k.prefix, "__Host-"+k.visit
	}
	k.cookies.Options = &sessions.Options{
		Path: "/", Secure: https, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	for _, codec := range k.cookies.Codecs {
		if secure, ok := codec.(*securecookie.SecureCookie); ok {
			secure.SetSerializer(texts{})
		}
	}
	k.cookies.MaxAge(int(VisitLife.Seconds())) // the most any cookie is good for; the stored flow may be over before
	return k
}

// Begin stores a checked request as a new flow and sets the cookie that binds it to this browser.
func (k *Keeper) Begin(w http.ResponseWriter, r *http.Request, request bridge.AuthorizationRequest) (bridge.Flow, error) {
	return k.begin(w, r, bridge.Flow{Request: request})
}

func (k *Keeper) begin(w http.ResponseWriter, r *http.Request, flow bridge.Flow) (bridge.Flow, error) {
	if k.allow != nil && !k.allow(r) {
		return bridge.Flow{}, ErrTooMany
	}
	id, err := bridge.NewID(k.rand)
	if err != nil {
		return bridge.Flow{}, err
	}
	browser, err := secret.Random(k.rand, "")
	if err != nil {
		return bridge.Flow{}, err
	}
	now := k.now()
	flow.ID, flow.Browser, flow.Step, flow.CreatedAt, flow.ExpiresAt = id, browser.Hash(), k.first, now, now.Add(Life)
	if err := k.store.CreateFlow(r.Context(), flow); err != nil {
		return bridge.Flow{}, fmt.Errorf("storing a flow: %w", err)
	}
	return flow, k.bind(w, r, k.tie(id, browser))
}

// tie is the cookie that ties a flow to a browser.
type tie struct {
	name   string
	values map[any]any
	life   time.Duration
}

func (k *Keeper) tie(flowID string, browser secret.Token) tie {
	return tie{k.cookieName(flowID), map[any]any{browserValue: browser.Reveal()}, Life}
}

func (k *Keeper) bind(w http.ResponseWriter, r *http.Request, cookie tie) error {
	session := sessions.NewSession(k.cookies, cookie.name)
	options := *k.cookies.Options
	options.MaxAge = int(cookie.life.Seconds())
	session.Options, session.Values = &options, cookie.values
	if err := k.cookies.Save(r, w, session); err != nil {
		return fmt.Errorf("setting the flow's cookie: %w", err)
	}
	return nil
}

// Rebind is Update that also gives the flow another cookie: whoever knew the one from before the
// sign-in is left with nothing (FB-03, GW-61). It is for a request that no browser sends twice.
func (k *Keeper) Rebind(w http.ResponseWriter, r *http.Request, id string, change func(*bridge.Flow) error) (bridge.Flow, error) {
	browser, err := secret.Random(k.rand, "")
	if err != nil {
		return bridge.Flow{}, err
	}
	flow, err := k.Update(context.WithoutCancel(r.Context()), id, func(f *bridge.Flow) error {
		f.Browser = browser.Hash()
		return change(f)
	})
	if err != nil {
		return bridge.Flow{}, err
	}
	return flow, k.bind(w, r, k.tie(id, browser))
}

// Current returns the flow named in the query of a GET, if this is its browser.
func (k *Keeper) Current(r *http.Request) (bridge.Flow, error) {
	return k.own(r, r.URL.Query().Get("flow"))
}

// Returned returns the flow of that id to a browser that comes back from elsewhere, if it is its own.
func (k *Keeper) Returned(r *http.Request, id string) (bridge.Flow, error) { return k.own(r, id) }

// Posted returns the flow named in a posted form, if this is its browser, the form came from our
// own page, and its ticket is the one of this flow, person and step. r.PostForm is filled.
func (k *Keeper) Posted(w http.ResponseWriter, r *http.Request) (bridge.Flow, error) {
	return k.posted(w, r, func(r *http.Request) (bridge.Flow, error) { return k.own(r, r.PostForm.Get("flow")) })
}

func (k *Keeper) posted(w http.ResponseWriter, r *http.Request, find func(*http.Request) (bridge.Flow, error)) (bridge.Flow, error) {
	if !k.sameOrigin(r) {
		return bridge.Flow{}, ErrForged
	}
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return bridge.Flow{}, ErrNotAForm
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		return bridge.Flow{}, ErrNotAForm
	}
	flow, err := find(r)
	if err != nil {
		return bridge.Flow{}, err
	}
	if !k.gave(r.PostForm.Get("ticket"), flow) {
		return bridge.Flow{}, ErrForged
	}
	return flow, nil
}

// Ticket is the anti-forgery value of the flow's page: bound to the flow, its browser, the person
// signed in and the step, so that a page shown to one person cannot be sent by another (CO-02, CO-21).
func (k *Keeper) Ticket(flow bridge.Flow) string { return ticket(k.ring.Derive(ticketPurpose), flow) }

// gave reports whether a ticket is the flow's, by any secret that is live: a page may have been shown
// before the secret was exchanged, or by a replica that does not know of it yet.
func (k *Keeper) gave(given string, flow bridge.Flow) bool {
	found := false
	for _, key := range k.ring.DeriveAll(ticketPurpose) {
		found = hmac.Equal([]byte(given), []byte(ticket(key, flow))) || found
	}
	return found
}

func ticket(key []byte, flow bridge.Flow) string {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s\x00%s\x00%s\x00%s", flow.ID, flow.Browser, flow.SignIn.Person.ID(), flow.Step)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Update changes the stored flow in one transaction; see bridge.FlowStore.
func (k *Keeper) Update(ctx context.Context, id string, change func(*bridge.Flow) error) (bridge.Flow, error) {
	flow, err := k.store.UpdateFlow(ctx, id, k.now(), change)
	if errors.Is(err, bridge.ErrNotFound) {
		return bridge.Flow{}, ErrGone
	}
	return flow, err
}

// SealTrip seals what the way to an identity provider and back needs.
func (k *Keeper) SealTrip(flowID string, trip []byte) []byte {
	return k.ring.Seal(bridge.SealedTrip, flowID, trip)
}

// OpenTrip opens what SealTrip sealed.
func (k *Keeper) OpenTrip(flow bridge.Flow) ([]byte, error) {
	trip, err := k.ring.Open(bridge.SealedTrip, flow.ID, flow.SignIn.Trip)
	if err != nil {
		return nil, fmt.Errorf("opening a flow's trip: %w", err)
	}
	return trip, nil
}

// SealExit seals the URL a decided flow sends its browser to. It holds the code, so it is stored
// in no other form.
func (k *Keeper) SealExit(flowID, exit string) []byte {
	return k.ring.Seal(bridge.SealedExit, flowID, []byte(exit))
}

// TakeExit returns the exit of a decided flow, once: the flow is finished by it (AZ-44).
func (k *Keeper) TakeExit(ctx context.Context, flow bridge.Flow) (string, error) {
	var sealed []byte
	_, err := k.Update(ctx, flow.ID, func(f *bridge.Flow) error {
		if f.Step != bridge.StepDecided || len(f.Exit) == 0 {
			return ErrGone
		}
		sealed, f.Exit, f.Step = f.Exit, nil, bridge.StepFinished
		return nil
	})
	if err != nil {
		return "", err
	}
	exit, err := k.ring.Open(bridge.SealedExit, flow.ID, sealed)
	if err != nil {
		return "", fmt.Errorf("opening a flow's exit: %w", err)
	}
	return string(exit), nil
}

// Release drops the flow's cookie from the browser.
func (k *Keeper) Release(w http.ResponseWriter, flow bridge.Flow) { k.drop(w, k.cookieName(flow.ID)) }

func (k *Keeper) drop(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not Secure on a loopback http issuer only, see New
		Name: name, Path: "/", MaxAge: -1,
		Secure: k.cookies.Options.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (k *Keeper) own(r *http.Request, id string) (bridge.Flow, error) {
	flow, err := k.find(r.Context(), id)
	if err != nil {
		return bridge.Flow{}, err
	}
	session, err := k.cookies.New(r, k.cookieName(id))
	if err != nil {
		return bridge.Flow{}, ErrOtherBrowser // a tampered cookie is no cookie
	}
	return k.opened(flow, session)
}

func (k *Keeper) find(ctx context.Context, id string) (bridge.Flow, error) {
	if id == "" {
		return bridge.Flow{}, ErrGone
	}
	flow, err := k.store.Flow(ctx, id, k.now())
	if errors.Is(err, bridge.ErrNotFound) {
		return bridge.Flow{}, ErrGone
	}
	if err != nil {
		return bridge.Flow{}, fmt.Errorf("reading a flow: %w", err)
	}
	return flow, nil
}

// opened is the flow if the cookie is the one it was bound with last, and the flow is open.
func (k *Keeper) opened(flow bridge.Flow, session *sessions.Session) (bridge.Flow, error) {
	browser, _ := session.Values[browserValue].(string)
	if browser == "" || flow.Browser.IsZero() || bridge.HashOf(browser) != flow.Browser {
		return bridge.Flow{}, ErrOtherBrowser
	}
	if !flow.Open(k.now()) {
		return bridge.Flow{}, ErrGone
	}
	return flow, nil
}

// Each flow has its own cookie, so that two flows in one browser leave each other alone (AZ-45, FB-05).
func (k *Keeper) cookieName(id string) string { return k.prefix + id[:min(len(id), 10)] }

// sameOrigin judges a form post. Sec-Fetch-Site, where a browser sends it, has to say same-origin;
// Origin, where it is sent, has to be ours, or null beside a Sec-Fetch-Site: browsers say null on
// pages with our referrer policy. A request with neither comes from no browser and carries no
// ambient cookies: the ticket and the flow's cookie stand alone there.
func (k *Keeper) sameOrigin(r *http.Request) bool {
	site, origin := r.Header.Values("Sec-Fetch-Site"), r.Header.Values("Origin")
	if len(site) > 1 || len(origin) > 1 || len(site) == 1 && site[0] != "same-origin" {
		return false
	}
	return len(origin) == 0 || origin[0] == k.issuer || origin[0] == "null" && len(site) == 1
}
