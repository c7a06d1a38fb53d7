package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// jobs counts background work. Of several replicas one does it, so that the others show old times, or
// none.
type jobs struct {
	runs, items, seconds *prometheus.CounterVec
	succeeded            *prometheus.GaugeVec
}

func newJobs() jobs {
	return jobs{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trinity_bridge_job_runs_total", Help: "Runs of background work by how they ended: ok or failed.",
		}, []string{"job", "result"}),
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trinity_bridge_job_items_total", Help: "Things that background work has done: rows swept, grants ended, keys revoked.",
		}, []string{"job"}),
		seconds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trinity_bridge_job_seconds_total", Help: "Time that background work took.",
		}, []string{"job"}),
		succeeded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "trinity_bridge_job_last_success_timestamp_seconds", Help: "When background work last came to its end.",
		}, []string{"job"}),
	}
}

// Job counts a run of background work; job is a word from a fixed set.
func (m *Metrics) Job(job string, items int, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	} else {
		m.jobs.succeeded.WithLabelValues(job).SetToCurrentTime()
	}
	m.jobs.runs.WithLabelValues(job, result).Inc()
	m.jobs.items.WithLabelValues(job).Add(float64(items))
	m.jobs.seconds.WithLabelValues(job).Add(took.Seconds())
}
