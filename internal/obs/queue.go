package obs

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/hook"
)

// queuePatience bounds the query of a scrape below the usual 10 s of Prometheus.
const queuePatience = 8 * time.Second

// WatchQueue adds the queue's metrics, which are asked for when they are collected. All nodes
// of one database report the same numbers: take the max over them, not the sum.
func (m *Metrics) WatchQueue(stats func(context.Context) ([]hook.QueueStat, error)) {
	labels := []string{"workspace"}
	m.registry.MustRegister(&queue{
		stats:   stats,
		oldest:  prometheus.NewDesc("sallyport_queue_oldest_seconds", "How long the longest overdue delivery has been due, 0 if none is; those held by their target and retries yet to come do not count.", labels, nil),
		waiting: prometheus.NewDesc("sallyport_queue_waiting", "Deliveries in the queue that no node has claimed, held ones included.", labels, nil),
		claimed: prometheus.NewDesc("sallyport_queue_claimed", "Deliveries in the queue that a node has claimed.", labels, nil),
	})
}

type queue struct {
	stats                    func(context.Context) ([]hook.QueueStat, error)
	oldest, waiting, claimed *prometheus.Desc
}

func (q *queue) Describe(out chan<- *prometheus.Desc) {
	out <- q.oldest
	out <- q.waiting
	out <- q.claimed
}

func (q *queue) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), queuePatience)
	defer cancel()
	stats, err := q.stats(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(q.oldest, err)
		return
	}
	for _, s := range stats {
		var age time.Duration
		if s.OldestDue != nil {
			// The database's clock against ours: good enough for alerts in minutes, never negative.
			age = max(0, time.Since(*s.OldestDue))
		}
		for desc, value := range map[*prometheus.Desc]float64{
			q.oldest: age.Seconds(), q.waiting: float64(s.Waiting), q.claimed: float64(s.Claimed),
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, s.WorkspaceCode)
		}
	}
}
