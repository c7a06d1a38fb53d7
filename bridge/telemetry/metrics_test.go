package telemetry_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/telemetry"
)

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if recorder.Code != http.StatusOK {
		t.Fatalf("status %d", recorder.Code)
	}
	return recorder.Body.String()
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	ready := false
	m := telemetry.New(func() bool { return ready })
	m.Event(bridge.AuditEvent{Kind: "token_refused", Outcome: "invalid_grant", ClientID: "client-x", PersonID: "person-x"})
	m.Event(bridge.AuditEvent{Kind: "token_refused", Outcome: "invalid_grant"})
	m.Request("mcp", 401)
	m.Request("mcp", 0)
	got := scrape(t, m)
	for _, line := range []string{
		`trinity_bridge_events_total{kind="token_refused",outcome="invalid_grant"} 2`,
		`trinity_bridge_requests_total{route="mcp",status="4xx"} 1`,
		`trinity_bridge_requests_total{route="mcp",status="other"} 1`,
		`trinity_bridge_ready 0`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no %q in:\n%s", line, got)
		}
	}
	ready = true
	if got := scrape(t, m); !strings.Contains(got, "trinity_bridge_ready 1\n") || strings.Contains(got, "person-x") || strings.Contains(got, "client-x") {
		t.Errorf("OP-29: %s", got)
	}
}

// OP-29: however many outcomes there are, the number of series is bounded.
func TestMetrics_OP29_bounded(t *testing.T) {
	t.Parallel()
	m := telemetry.New(func() bool { return true })
	for i := range 2000 {
		m.Event(bridge.AuditEvent{Kind: "x", Outcome: fmt.Sprint(i)})
	}
	if n := strings.Count(scrape(t, m), "trinity_bridge_events_total{"); n > 257 {
		t.Errorf("%d series", n)
	}
}

func TestMetrics_Job(t *testing.T) {
	t.Parallel()
	m := telemetry.New(func() bool { return true })
	m.Job("sweep", 30, 2*time.Second, nil)
	m.Job("sweep", 12, time.Second, nil)
	m.Job("key_revocations", 1, time.Second, errors.New("Trinity is down"))
	got := scrape(t, m)
	for _, line := range []string{
		`trinity_bridge_job_runs_total{job="sweep",result="ok"} 2`,
		`trinity_bridge_job_runs_total{job="key_revocations",result="failed"} 1`,
		`trinity_bridge_job_items_total{job="sweep"} 42`,
		`trinity_bridge_job_seconds_total{job="sweep"} 3`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("no %q in:\n%s", line, got)
		}
	}
	const last = "trinity_bridge_job_last_success_timestamp_seconds{job="
	if !strings.Contains(got, last+`"sweep"}`) || strings.Contains(got, last+`"key_revocations"}`) {
		t.Errorf("when each last succeeded:\n%s", got)
	}
}
