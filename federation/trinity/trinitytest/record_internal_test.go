package trinitytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestRecorder_bounds(t *testing.T) {
	t.Parallel()
	t.Run("the newest 10,000", func(t *testing.T) {
		t.Parallel()
		r := &recorder{now: time.Now}
		for i := range 10_003 {
			r.add(Request{Path: strconv.Itoa(i)})
		}
		got := r.all()
		if len(got) != 10_000 || got[0].Path != "3" || got[9_999].Path != "10002" {
			t.Errorf("%d requests, %s to %s", len(got), got[0].Path, got[len(got)-1].Path)
		}
	})
	t.Run("64 KiB of a body, all of which is passed on", func(t *testing.T) {
		t.Parallel()
		r := &recorder{now: time.Now}
		passed := 0
		handler := r.watch(SideMCP, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Error(err)
			}
			passed = len(body)
		}))
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 70_000))))
		if kept := len(r.all()[0].Body); kept != 64<<10 || passed != 70_000 {
			t.Errorf("%d bytes kept, %d passed on", kept, passed)
		}
	})
	t.Run("4.5/a body beyond 32 MiB", func(t *testing.T) {
		t.Parallel()
		r := &recorder{now: time.Now}
		handler := r.watch(SideMCP, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("passed on") }))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 32<<20+1))))
		if w.Code != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", w.Code)
		}
	})
}
