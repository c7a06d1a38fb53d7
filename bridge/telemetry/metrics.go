package telemetry

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/abilityai/trinity-bridge/bridge"
)

// maxOutcomes bounds the series of events, whatever is given as an outcome.
const maxOutcomes = 256

// Metrics counts for one deployment. Use New.
type Metrics struct {
	registry *prometheus.Registry
	events   *prometheus.CounterVec
	requests *prometheus.CounterVec
	jobs     jobs

	mu       sync.Mutex
	outcomes map[string]bool
}

// New makes metrics. ready is asked at each scrape.
func New(ready func() bool) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trinity_bridge_events_total", Help: "Audit events by kind and outcome.",
		}, []string{"kind", "outcome"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trinity_bridge_requests_total", Help: "Requests by route and class of status.",
		}, []string{"route", "status"}),
		jobs: newJobs(), outcomes: map[string]bool{},
	}
	m.registry.MustRegister(m.jobs.runs, m.jobs.items, m.jobs.seconds, m.jobs.succeeded)
	m.registry.MustRegister(m.events, m.requests, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "trinity_bridge_ready", Help: "1 when the store takes writes and the upstream may be called.",
		}, func() float64 {
			if ready() {
				return 1
			}
			return 0
		}))
	return m
}

// UnknownTools shows how many tools of the upstream nobody has judged; count is asked at each scrape.
func (m *Metrics) UnknownTools(count func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "trinity_bridge_unknown_tools", Help: "Tools seen in lists of the upstream that the catalogue does not know.",
	}, func() float64 { return float64(count()) }))
}

// Event counts an audit event.
func (m *Metrics) Event(event bridge.AuditEvent) {
	outcome := event.Outcome
	m.mu.Lock()
	if !m.outcomes[outcome] {
		if len(m.outcomes) >= maxOutcomes {
			outcome = "other"
		} else {
			m.outcomes[outcome] = true
		}
	}
	m.mu.Unlock()
	m.events.WithLabelValues(event.Kind, outcome).Inc()
}

// Request counts a finished request; route is a word from a fixed set.
func (m *Metrics) Request(route string, status int) {
	class := "other"
	if status >= 100 && status < 600 {
		class = strconv.Itoa(status/100) + "xx"
	}
	m.requests.WithLabelValues(route, class).Inc()
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
