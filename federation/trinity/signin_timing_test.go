package trinity_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/flow"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

// measureTiming is for a machine that does nothing else: another's load takes longer than what is looked for.
var measureTiming = flag.Bool("timing", false, "measure whether the time of an answer tells addresses apart")

// OT-01: how long the answer takes says nothing of an address, though Trinity takes longer for one that it knows: the
// medians of 500 tries of each, in turn, are within 5 ms.
func TestSignIn_OT01_timing(t *testing.T) {
	t.Parallel()
	if !*measureTiming {
		t.Skip("a busy machine tells nothing about 5 ms: make bench-access")
	}
	const tries, most = 500, 5 * time.Millisecond
	b := start(t, trinitytest.Switches{})
	b.between.on(pathRequest, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		body, _ := io.ReadAll(r.Body)
		time.Sleep(most)
		if bytes.Contains(body, []byte("known")) {
			time.Sleep(most)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r)
	})
	took := map[string][]time.Duration{}
	for i := range tries {
		if i%20 == 0 {
			b.clock.Advance(11 * time.Minute) // past the limits of codes
		}
		for _, whose := range []string{"known", "other"} {
			mailbox := fmt.Sprintf("%s-%d@example.com", whose, i)
			if whose == "known" {
				b.must(b.trinity.AddToWhitelist(mailbox))
			}
			w := b.begin()
			form := w.form(flow.PathSignIn, "email", mailbox)
			began := time.Now()
			w.post(flow.PathSignIn, form).wantOnward(flow.PathCode, w.flow)
			took[whose] = append(took[whose], time.Since(began))
			b.signIn.Wait()
		}
	}
	median := func(of []time.Duration) time.Duration { slices.Sort(of); return of[len(of)/2] }
	known, other := median(took["known"]), median(took["other"])
	t.Logf("medians: %s for an address that Trinity knows, %s for another", known, other)
	if (known - other).Abs() >= most {
		t.Errorf("the median differs by %s", known-other)
	}
}
