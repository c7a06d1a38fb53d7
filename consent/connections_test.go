package consent_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/mux"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/bridge/secret/secrettest"
	"github.com/abilityai/trinity-bridge/bridge/store/badger"
	"github.com/abilityai/trinity-bridge/consent"
	"github.com/abilityai/trinity-bridge/templates"
)

const issuer = "https://connect.example.com"

var (
	alice = bridge.Person{Source: bridge.SourceTrinity, Subject: "alice"}
	noon  = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
)

// shelf is a store of grants, newest first, that can fail.
type shelf struct {
	grants  []bridge.Grant
	failing error
	reads   int
}

func (s *shelf) Grant(_ context.Context, id string) (bridge.Grant, error) {
	at := slices.IndexFunc(s.grants, func(g bridge.Grant) bool { return g.ID == id })
	switch {
	case s.failing != nil:
		return bridge.Grant{}, s.failing
	case at < 0:
		return bridge.Grant{}, bridge.ErrNotFound
	}
	return s.grants[at], nil
}

func (s *shelf) Grants(_ context.Context, personID, _, after string, limit int) ([]bridge.Grant, error) {
	s.reads++
	if s.failing != nil {
		return nil, s.failing
	}
	begun := after == ""
	var page []bridge.Grant
	for _, grant := range s.grants {
		if begun && grant.Person.ID() == personID && len(page) < limit {
			page = append(page, grant)
		}
		begun = begun || grant.ID == after
	}
	return page, nil
}

func (s *shelf) EndGrant(_ context.Context, id string, reason bridge.EndReason, now time.Time) (bridge.Grant, bool, error) {
	if s.failing != nil {
		return bridge.Grant{}, false, s.failing
	}
	at := slices.IndexFunc(s.grants, func(g bridge.Grant) bool { return g.ID == id })
	s.grants[at].Status, s.grants[at].EndReason, s.grants[at].EndedAt = bridge.GrantEnded, reason, now
	return s.grants[at], true, nil
}

func (s *shelf) LinkOf(context.Context, string) (bridge.Link, error) {
	return bridge.Link{}, bridge.ErrNotFound
}

// others are the rooms that the page meets.
type others struct {
	ended, signedOut int
	events           []bridge.AuditEvent
}

func (o *others) End(context.Context, string, bridge.EndReason) ([]bridge.Grant, error) {
	return nil, errors.New("nobody is linked")
}

func (o *others) DescribeGrant(_ context.Context, grant bridge.Grant) templates.Client {
	return templates.Client{Name: grant.ClientName, RedirectHost: "app.example.com"}
}
func (o *others) SignOut(context.Context, bridge.Flow) { o.signedOut++ }
func (o *others) AppendAudit(_ context.Context, events []bridge.AuditEvent) error {
	o.events = append(o.events, events...)
	return nil
}

func (o *others) AuditTrail(context.Context, string, int) ([]bridge.AuditEvent, error) {
	return o.events, nil
}

type nowhere struct{}

func (nowhere) SignOut(context.Context, bridge.SignIn, string) (string, error) { return "", nil }
func (nowhere) SignedOut(string) (string, bool)                                { return "", false }

// desk is the page with alice signed in to it.
type desk struct {
	t       *testing.T
	shelf   *shelf
	others  *others
	router  *mux.Router
	trail   *audit.Trail
	cookie  *http.Cookie
	visitor bridge.Flow
	flows   *flow.Keeper
}

func newDesk(t *testing.T, grants ...bridge.Grant) *desk {
	t.Helper()
	store, err := badger.Open(badger.Options{Dir: t.TempDir(), Sealer: secrettest.Ring()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	public, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	pages, err := templates.New(templates.Site{Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return noon }
	d := &desk{t: t, shelf: &shelf{grants: grants}, others: &others{}, router: mux.NewRouter()}
	d.flows = flow.New(flow.Options{Store: store, Ring: secrettest.Ring(), Issuer: public, Now: now, Rand: rand.Reader})
	d.trail = audit.New(d.others, slog.New(slog.DiscardHandler), now)
	(&consent.Connections{
		Flows: d.flows, Grants: d.shelf, Links: d.others, Clients: d.others, Sessions: d.others, Providers: nowhere{},
		Label: func(source string) string { return source }, Pages: pages, Trail: d.trail, Log: slog.New(slog.DiscardHandler), Now: now,
		Ended: func() { d.others.ended++ },
	}).Mount(d.router)

	begun := httptest.NewRecorder()
	if d.visitor, err = d.flows.BeginVisit(begun, d.request(http.MethodGet, "/connections/sign-in", "")); err != nil {
		t.Fatal(err)
	}
	d.visitor, err = d.flows.Update(t.Context(), d.visitor.ID, func(f *bridge.Flow) error {
		f.Step, f.SignIn.Person, f.SignIn.Account = f.SignedIn(), alice, bridge.Account{Username: "alice"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	d.cookie = begun.Result().Cookies()[0]
	arrived := d.do(http.MethodGet, "/connections/arrive?flow="+d.visitor.ID, "")
	if arrived.Code != http.StatusSeeOther || d.others.signedOut != 1 {
		t.Fatalf("arriving: %d, %d sessions signed out", arrived.Code, d.others.signedOut)
	}
	cookies := arrived.Result().Cookies()
	d.cookie = cookies[len(cookies)-1]
	if d.visitor, err = d.flows.Visit(d.request(http.MethodGet, "/connections", "")); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) request(method, target, body string) *http.Request {
	r := httptest.NewRequestWithContext(d.t.Context(), method, issuer+target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", issuer)
	}
	if d.cookie != nil {
		r.AddCookie(d.cookie)
	}
	return r
}

func (d *desk) do(method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.router.ServeHTTP(w, d.request(method, target, body))
	return w
}

func (d *desk) post(path string, form url.Values) *httptest.ResponseRecorder {
	form.Set("ticket", d.flows.Ticket(d.visitor))
	return d.do(http.MethodPost, path, form.Encode())
}

func grants(n int, status bridge.GrantStatus, edit func(int, *bridge.Grant)) []bridge.Grant {
	all := make([]bridge.Grant, n)
	for i := range all {
		all[i] = bridge.Grant{
			ID: string(status) + "-" + strconv.Itoa(i), Status: status, Person: alice, Account: bridge.Account{Username: "alice"}, ClientName: "Example App",
			ActingAs: bridge.ActingAs{Kind: bridge.ActAsUser}, Scopes: bridge.BaselineScopes(), CreatedAt: noon.Add(-time.Duration(i) * time.Minute),
		}
		if edit != nil {
			edit(i, &all[i])
		}
	}
	return all
}

// A year of ended connections before a live one costs each page a bounded number of reads, and the page says that
// there is more and not that there is nothing.
func TestConnections_boundedReads(t *testing.T) {
	t.Parallel()
	d := newDesk(t, append(grants(2100, bridge.GrantEnded, nil), grants(1, bridge.GrantLive, nil)...)...)
	first := d.do(http.MethodGet, "/connections", "")
	if first.Code != http.StatusOK || d.shelf.reads > 20 || strings.Contains(first.Body.String(), "No apps are connected") {
		t.Fatalf("%d after %d reads:\n%s", first.Code, d.shelf.reads, first.Body)
	}
	if !strings.Contains(first.Body.String(), `href="/connections?after=ended-1999"`) {
		t.Fatalf("no way on:\n%s", first.Body)
	}
	if second := d.do(http.MethodGet, "/connections?after=ended-1999", ""); !strings.Contains(second.Body.String(), `value="live-0"`) {
		t.Errorf("the second page:\n%s", second.Body)
	}
}

// What has lapsed is as good as ended; what is on its way is no connection yet; what nobody was asked about says so.
func TestConnections_shown(t *testing.T) {
	t.Parallel()
	d := newDesk(t, slices.Concat(
		grants(1, bridge.GrantPending, nil),
		grants(3, bridge.GrantLive, func(i int, g *bridge.Grant) {
			switch i {
			case 0:
				g.Lapses = noon
			case 1:
				g.Lapses = noon.Add(time.Second)
			case 2:
				g.Started, g.ActingAs = true, bridge.ActingAs{Kind: bridge.ActAsAgent, Agent: "researcher"}
			}
		}),
	)...)
	page := d.do(http.MethodGet, "/connections", "").Body.String()
	for id, want := range map[string]bool{"pending-0": false, "live-0": false, "live-1": true, "live-2": true} {
		if strings.Contains(page, `value="`+id+`"`) != want {
			t.Errorf("%s is shown: %v", id, !want)
		}
	}
	if strings.Count(page, "it never asked you") != 1 || !strings.Contains(page, "researcher") {
		t.Errorf("the page:\n%s", page)
	}
	if answer := d.post("/connections/end-all", url.Values{}); answer.Code != http.StatusSeeOther || d.others.ended != 4 {
		t.Errorf("ending all: %d, %d ended", answer.Code, d.others.ended)
	}
}

// A store that fails ends nothing and says that it is our fault; nothing is in the trail that did not happen.
func TestConnections_storeFails(t *testing.T) {
	t.Parallel()
	for _, failing := range []error{errors.New("a failure of the store's"), bridge.ErrReadOnly} {
		d := newDesk(t, grants(1, bridge.GrantLive, nil)...)
		d.shelf.failing = failing
		answers := map[string]*httptest.ResponseRecorder{
			"list":    d.do(http.MethodGet, "/connections", ""),
			"after":   d.do(http.MethodGet, "/connections?after=live-0", ""),
			"end":     d.post("/connections/end", url.Values{"grant": {"live-0"}}),
			"end all": d.post("/connections/end-all", url.Values{}),
		}
		for what, answer := range answers {
			if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" || strings.Contains(answer.Body.String(), "store's") {
				t.Errorf("%s with %v: %d", what, failing, answer.Code)
			}
		}
		d.trail.Flush(t.Context())
		if d.others.ended != 0 || slices.ContainsFunc(d.others.events, func(e bridge.AuditEvent) bool { return e.Kind == audit.GrantEnded }) {
			t.Errorf("something has ended: %+v", d.others.events)
		}
	}
}

// AS-137: an end is in the trail once, with the reason, the person and the client, and no more than that.
func TestConnections_AS137_audited(t *testing.T) {
	t.Parallel()
	d := newDesk(t, grants(1, bridge.GrantLive, func(_ int, g *bridge.Grant) { g.ClientID = "client-1" })...)
	for range 2 {
		if answer := d.post("/connections/end", url.Values{"grant": {"live-0"}}); answer.Code != http.StatusSeeOther {
			t.Fatalf("ending: %d", answer.Code)
		}
	}
	d.trail.Flush(t.Context())
	want := []bridge.AuditEvent{
		{At: noon, Kind: audit.VisitBegun, PersonID: alice.ID()},
		{At: noon, Kind: audit.GrantEnded, PersonID: alice.ID(), ClientID: "client-1", GrantID: "live-0", Outcome: "revoked_by_person"},
	}
	if !slices.Equal(d.others.events, want) {
		t.Errorf("events %+v", d.others.events)
	}
}
