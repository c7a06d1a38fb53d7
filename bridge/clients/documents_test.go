package clients_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/audit"
	"github.com/abilityai/trinity-bridge/bridge/clients"
	"github.com/abilityai/trinity-bridge/bridge/outbound"
)

func (h *house) wantDescribed(t *testing.T, name string) bridge.Client {
	t.Helper()
	client, err := h.Identify(t.Context(), documentID, "")
	if err != nil || client.Name != name || client.ID != documentID {
		t.Fatalf("%q, %v, want %q", client.Name, err, name)
	}
	return client
}

func (h *house) wantRefused(t *testing.T, id string, want error) {
	t.Helper()
	if client, err := h.Identify(t.Context(), id, ""); !errors.Is(err, want) {
		t.Errorf("%s: %+v, %v, want %v", id, client, err, want)
	}
}

// AS-096: one GET to that address, and none while the copy is fresh.
func TestIdentify_AS096_fetches(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	host := h.app(t, "Cache-Control", "max-age=600")
	h.wantDescribed(t, "Example App")
	host.JSON(string(described(with{"client_name": "Renamed"})))
	h.Advance(10*time.Minute - time.Second)
	h.wantDescribed(t, "Example App")
	if host.Hits() != 1 || host.Last().URL.Path != "/client.json" {
		t.Errorf("%d fetches, the last of %s", host.Hits(), host.Last().URL)
	}
	h.Advance(time.Second)
	h.wantDescribed(t, "Renamed")
}

// AS-108, CM-26: the host's word within our bounds.
func TestIdentify_CM26_freshness(t *testing.T) {
	t.Parallel()
	date := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return date.Add(d).Format(http.TimeFormat) }
	tests := map[string]struct {
		header []string
		want   time.Duration
	}{
		"a year":                {[]string{"Cache-Control", "public, max-age=31536000"}, 24 * time.Hour},
		"no end":                {[]string{"Cache-Control", "max-age=99999999999999999999"}, 24 * time.Hour},
		"no-store":              {[]string{"Cache-Control", "no-store"}, time.Minute},
		"no-cache and an hour":  {[]string{"Cache-Control", "no-cache, max-age=3600"}, time.Minute},
		"private":               {[]string{"Cache-Control", "private, max-age=3600"}, time.Minute},
		"a second":              {[]string{"Cache-Control", "max-age=1"}, time.Minute},
		"five minutes":          {[]string{"Cache-Control", `max-age="300"`}, 5 * time.Minute},
		"the shorter of two":    {[]string{"Cache-Control", "max-age=600, s-maxage=300"}, 5 * time.Minute},
		"capitals":              {[]string{"Cache-Control", "MAX-AGE=300"}, 5 * time.Minute},
		"no number":             {[]string{"Cache-Control", "max-age=-5"}, time.Minute},
		"aged":                  {[]string{"Cache-Control", "max-age=600", "Age", "300"}, 5 * time.Minute},
		"aged beyond":           {[]string{"Cache-Control", "max-age=600", "Age", "6000"}, time.Minute},
		"Vary":                  {[]string{"Cache-Control", "max-age=600", "Vary", "*"}, 10 * time.Minute},
		"Expires":               {[]string{"Expires", at(20 * time.Minute), "Date", at(0)}, 20 * time.Minute},
		"Expires long ago":      {[]string{"Expires", at(-time.Hour), "Date", at(0)}, time.Minute},
		"Expires 0":             {[]string{"Expires", "0", "Date", at(0)}, time.Minute},
		"max-age and Expires":   {[]string{"Cache-Control", "max-age=600", "Expires", at(time.Hour), "Date", at(0)}, 10 * time.Minute},
		"nothing said":          {nil, 10 * time.Minute},
		"something else is":     {[]string{"Cache-Control", "immutable"}, 10 * time.Minute},
		"a clock that is wrong": {[]string{"Expires", at(-time.Hour + 5*time.Minute), "Date", at(-time.Hour)}, 5 * time.Minute},
	}
	for id, tt := range tests {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			h := open(t, nil)
			host := h.app(t, tt.header...)
			h.wantDescribed(t, "Example App")
			h.Advance(tt.want - time.Second)
			h.wantDescribed(t, "Example App")
			if host.Hits() != 1 {
				t.Errorf("asked again within %s", tt.want)
			}
			h.Advance(time.Second)
			h.wantDescribed(t, "Example App")
			if host.Hits() != 2 {
				t.Errorf("not asked again after %s", tt.want)
			}
		})
	}
}

// AS-099, AS-100, AS-109, CM-16: what is no document, and that none of it is remembered (AS-108).
func TestIdentify_answers(t *testing.T) {
	t.Parallel()
	answer := func(status int, kind string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			if kind != "" {
				w.Header()["Content-Type"] = strings.Split(kind, "|")
			}
			w.WriteHeader(status)
			if status != http.StatusNoContent {
				_, _ = w.Write(described(nil))
			}
		}
	}
	tests := []struct {
		id     string
		handle http.HandlerFunc
		ok     bool
	}{
		{"AS-099/201", answer(201, "application/json"), false},
		{"AS-099/203", answer(203, "application/json"), false},
		{"AS-099/204", answer(204, "application/json"), false},
		{"AS-099/206", answer(206, "application/json"), false},
		{"AS-099/404", answer(404, "application/json"), false},
		{"AS-099/500", answer(500, "application/json"), false},
		{"AS-099/302", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, documentID, http.StatusFound) }, false},
		{"AS-100/html", answer(200, "text/html"), false},
		{"AS-100/text", answer(200, "text/plain"), false},
		{"AS-100/no type", answer(200, ""), false},
		{"AS-100/two types", answer(200, "application/json|text/html"), false},
		{"AS-100/type of a list", answer(200, "application/json, text/html"), false},
		{"AS-100/almost", answer(200, "application/jsonp"), false},
		{"AS-100/another tree", answer(200, "text/x+json"), false},
		{"CM-16/UTF-16", answer(200, "application/json; charset=utf-16"), false},
		{"AS-100/json", answer(200, "application/json"), true},
		{"AS-100/charset", answer(200, "application/json; charset=UTF-8"), true},
		{"AS-100/suffix", answer(200, "application/client-metadata+json"), true},
		{"AS-109/down", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			h := open(t, nil)
			host := h.app(t)
			down(host)
			if tt.handle != nil {
				host.Serve(tt.handle)
			}
			if tt.ok {
				h.wantDescribed(t, "Example App")
				return
			}
			h.wantRefused(t, documentID, clients.ErrDocument)
			host.JSON(string(described(nil)))
			h.wantDescribed(t, "Example App") // AS-108: a failure is not remembered
		})
	}
}

// AS-097, CM-01, CM-02, AS-105: an id that cannot be one, or leads inside, asks nobody.
func TestIdentify_askNobody(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	h.world.Resolve("inner.example.com", "10.0.0.1")
	h.world.Resolve("both.example.com", "8.8.8.8", "169.254.169.254")
	for id, address := range map[string]string{
		"CM-01/http":          "http://app.example.com/c",
		"CM-01/capitals":      "HTTPS://app.example.com/c",
		"CM-01/no path":       "https://app.example.com",
		"CM-02/dots":          "https://app.example.com/a/../c",
		"CM-04/inner address": "https://inner.example.com/c",
		"CM-08/one of two":    "https://both.example.com/c",
		"CM-10/inner name":    "https://backend/c",
		"CM-11/own host":      "https://connect.example.com/c",
		"CM-12/port":          "https://app.example.com:8443/c",
		"no such name":        "https://nowhere.example.com/c",
	} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			h.wantRefused(t, address, clients.ErrDocument)
			if dials := h.world.Dials(); len(dials) > 0 {
				t.Errorf("dialled %v", dials)
			}
		})
	}
}

// CM-24: what is too much is refused, but not those whom we know.
func TestIdentify_CM24_busy(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	host := h.app(t, "Cache-Control", "max-age=60")
	h.wantDescribed(t, "Example App")
	h.Advance(2 * time.Minute)
	for i := range 100 {
		_, _ = h.Identify(t.Context(), fmt.Sprintf("https://app.example.com/flood-%d", i), "")
	}
	h.wantRefused(t, "https://app.example.com/another", outbound.ErrBusy)
	hits := host.Hits()
	h.wantDescribed(t, "Example App")
	if host.Hits() != hits {
		t.Error("the copy was not the one that served")
	}
	down(host)
	h.Advance(time.Hour)
	h.wantRefused(t, documentID, clients.ErrDocument) // asked and failed is not busy (AS-109)
}

// CM-29: once a person allowed it, a client is known without its document, with what it then said.
func TestClient_CM29_known(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	host := h.app(t)
	if _, err := h.Client(t.Context(), documentID); !errors.Is(err, clients.ErrUnknown) || host.Hits() > 0 {
		t.Errorf("before: %v, %d fetches", err, host.Hits())
	}
	client := h.wantDescribed(t, "Example App")
	if _, err := h.Client(t.Context(), documentID); !errors.Is(err, clients.ErrUnknown) {
		t.Errorf("asked for, but nobody has allowed it: %v", err)
	}
	if err := h.Keep(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	down(host)
	h.Advance(23 * time.Hour)
	known, err := h.Client(t.Context(), documentID)
	if err != nil {
		t.Fatal(err)
	}
	known.UnusedUntil = time.Time{}
	if diff := cmp.Diff(client, known); diff != "" {
		t.Errorf("(-allowed +known):\n%s", diff)
	}
	if host.Hits() != 1 {
		t.Errorf("%d fetches", host.Hits())
	}
	h.Advance(2 * time.Hour) // and nobody redeemed a code
	if _, err := h.Client(t.Context(), documentID); !errors.Is(err, clients.ErrUnknown) {
		t.Errorf("unused for a day: %v", err)
	}
}

// CM-28, B47: a document that changes updates what is stored of its client, and the trail says what.
func TestIdentify_B47_changes(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	host := h.app(t)
	if err := h.Keep(t.Context(), h.wantDescribed(t, "Example App")); err != nil {
		t.Fatal(err)
	}
	h.Advance(time.Hour)
	h.wantDescribed(t, "Example App")
	if events := h.events(t, audit.ClientChanged); len(events) > 0 {
		t.Errorf("nothing has changed: %+v", events)
	}
	host.JSON(string(described(with{"client_name": "Renamed", "redirect_uris": []string{"https://app.example.com/new"}})))
	h.Advance(time.Hour)
	h.wantDescribed(t, "Renamed")
	known, err := h.Client(t.Context(), documentID)
	if err != nil || known.Name != "Renamed" {
		t.Errorf("%+v, %v", known, err)
	}
	events := h.events(t, audit.ClientChanged)
	if len(events) != 1 || events[0].ClientID != documentID || events[0].Detail != "client_name redirect_uris" {
		t.Errorf("events %+v", events)
	}
}

// B47: what a document says now reaches the store, also when that could not be written the first time: a key that was
// taken out of it must not go on to be good at the token endpoint.
func TestIdentify_B47_storeDown(t *testing.T) {
	t.Parallel()
	refusing := &refusingStore{}
	h := open(t, func(o *clients.Options) { refusing.ClientStore, o.Store = o.Store, refusing })
	host := h.app(t)
	if err := h.Keep(t.Context(), h.wantDescribed(t, "Example App")); err != nil {
		t.Fatal(err)
	}
	host.JSON(string(described(with{"client_name": "Renamed"})))
	h.Advance(time.Hour)
	refusing.refuse.Store(true)
	h.wantRefused(t, documentID, bridge.ErrReadOnly)
	refusing.refuse.Store(false)
	h.wantDescribed(t, "Renamed")
	if known, err := h.Client(t.Context(), documentID); err != nil || known.Name != "Renamed" {
		t.Errorf("%+v, %v", known, err)
	}
}

// refusingStore takes no clients for a while.
type refusingStore struct {
	bridge.ClientStore

	refuse atomic.Bool
}

func (s *refusingStore) PutClient(ctx context.Context, client bridge.Client, now time.Time) error {
	if s.refuse.Load() {
		return bridge.ErrReadOnly
	}
	return s.ClientStore.PutClient(ctx, client, now)
}

// The request carries what was checked; the document may be another by the time a person decides.
func TestOf_asChecked(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *clients.Options) { o.Trust.Blocked = []string{"blocked.example.com"} })
	h.app(t)
	client := h.wantDescribed(t, "Example App")
	client.Name = "As it was"
	got, err := h.Of(t.Context(), bridge.AuthorizationRequest{ClientID: documentID, Client: &client})
	if err != nil || got.Name != "As it was" || got.Blocked {
		t.Errorf("%+v, %v", got, err)
	}
	client.ID = "https://blocked.example.com/c"
	if got, err := h.Of(t.Context(), bridge.AuthorizationRequest{ClientID: client.ID, Client: &client}); err != nil || !got.Blocked {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := h.Of(t.Context(), bridge.AuthorizationRequest{ClientID: documentID}); !errors.Is(err, clients.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

// AS-096: an id the operator gave is no address, and what is no URL is no document's.
func TestIdentify_AS096_order(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *clients.Options) {
		o.Configured = []bridge.Client{{ID: documentID, Kind: bridge.ClientConfigured, Name: "Configured"}, {ID: "house", Kind: bridge.ClientConfigured, Name: "House"}}
	})
	host := h.app(t)
	h.wantDescribed(t, "Configured")
	if host.Hits() > 0 {
		t.Error("its address was asked")
	}
	if client, err := h.Identify(t.Context(), "house", ""); err != nil || client.Name != "House" {
		t.Errorf("%+v, %v", client, err)
	}
	for _, id := range []string{"", "client-x", "app.example.com/c", "https:app.example.com", strings.Repeat("x", 300)} {
		h.wantRefused(t, id, clients.ErrUnknown)
	}
	registered, _, err := h.Register(t.Context(), clients.Metadata{RedirectURIs: []string{"https://app.example.com/cb"}, AuthMethod: "none"})
	if err != nil || strings.Contains(registered.ID, "://") {
		t.Fatalf("%+v, %v", registered, err)
	}
	if client, err := h.Identify(t.Context(), registered.ID, ""); err != nil || client.ID != registered.ID {
		t.Errorf("%+v, %v", client, err)
	}
}
