package obs

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sallyport/internal/hook"
)

const (
	// queuePatience bounds the query of a scrape below the usual 10 s of Prometheus.
	queuePatience = 8 * time.Second
	// namedWorkspaces and namedTargets are how many have time series of their own; what is
	// beyond is summed up, since every name is kept by whoever scrapes.
	namedWorkspaces = 100
	namedTargets    = 20
	// others is the workspace of the sums; no code has brackets.
	others = "(others)"
)

// QueueSource is asked when metrics are collected.
type QueueSource interface {
	// Backlogs are of the workspaces in which something waits.
	Backlogs(ctx context.Context) (map[hook.ID]*hook.Backlog, error)
	// Targets are those for which something waits.
	Targets(ctx context.Context) ([]hook.TargetQueue, error)
	// Largest are the n targets with the most waiting.
	Largest(ctx context.Context, n int) ([]hook.TargetStat, error)
}

// WatchQueue adds the queue's metrics. All nodes of one database report the same numbers:
// take the max over them, not the sum.
func (m *Metrics) WatchQueue(source QueueSource) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	m.registry.MustRegister(&queue{
		source:  source,
		oldest:  desc("sallyport_queue_oldest_seconds", "How long the longest overdue delivery has been due, 0 if none is; what its target holds, what waits for a receiver that only fails, and retries yet to come do not count.", "workspace"),
		waiting: desc("sallyport_queue_waiting", "Deliveries in the queue that no node has claimed and whose target is sent to.", "workspace"),
		held:    desc("sallyport_queue_held", "Deliveries in the queue whose target is paused, suspended or disabled.", "workspace"),
		claimed: desc("sallyport_queue_claimed", "Deliveries in the queue that a node has claimed.", "workspace"),
		targets: desc("sallyport_queue_targets", "Targets for which deliveries wait, by what keeps them: held, breaker, or nothing.", "kept_by"),
		target:  desc("sallyport_target_waiting", "Deliveries that wait for a target, of the twenty for which the most do.", "workspace", "kind", "target"),
	})
}

type queue struct {
	source                                          QueueSource
	oldest, waiting, held, claimed, targets, target *prometheus.Desc
}

// WatchSize adds the size of the database, which is asked for when metrics are collected.
func (m *Metrics) WatchSize(size func(context.Context) (int64, error)) {
	m.registry.MustRegister(&database{size, prometheus.NewDesc("sallyport_database_bytes", "What the database takes: on SQLite the file and its log.", nil, nil)})
}

type database struct {
	size  func(context.Context) (int64, error)
	bytes *prometheus.Desc
}

func (d *database) Describe(out chan<- *prometheus.Desc) { out <- d.bytes }

func (d *database) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), queuePatience)
	defer cancel()
	n, err := d.size(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(d.bytes, err)
		return
	}
	out <- prometheus.MustNewConstMetric(d.bytes, prometheus.GaugeValue, float64(n))
}

func (q *queue) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{q.oldest, q.waiting, q.held, q.claimed, q.targets, q.target} {
		out <- d
	}
}

func (q *queue) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), queuePatience)
	defer cancel()
	backlogs, err := q.source.Backlogs(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(q.oldest, err)
		return
	}
	for _, w := range named(backlogs) {
		for desc, value := range map[*prometheus.Desc]float64{
			q.oldest: w.age.Seconds(), q.waiting: float64(w.pending), q.held: float64(w.held), q.claimed: float64(w.claimed),
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, w.code)
		}
	}
	q.collectTargets(ctx, out)
}

func (q *queue) collectTargets(ctx context.Context, out chan<- prometheus.Metric) {
	targets, err := q.source.Targets(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(q.targets, err)
		return
	}
	kept := map[string]int{"held": 0, "breaker": 0, "nothing": 0}
	for i := range targets {
		switch t := &targets[i]; {
		case t.Waiting == 0:
		case !t.Active:
			kept["held"]++
		case t.Broken:
			kept["breaker"]++
		default:
			kept["nothing"]++
		}
	}
	for by, n := range kept {
		out <- prometheus.MustNewConstMetric(q.targets, prometheus.GaugeValue, float64(n), by)
	}
	largest, err := q.source.Largest(ctx, namedTargets)
	if err != nil {
		out <- prometheus.NewInvalidMetric(q.target, err)
		return
	}
	type name struct{ workspace, kind, code string }
	seen := make(map[name]bool)
	for _, t := range largest {
		// A deleted target's code may be another's by now.
		n := name{t.WorkspaceCode, string(t.Kind), t.Code}
		if t.Code == "" || seen[n] {
			continue
		}
		seen[n] = true
		out <- prometheus.MustNewConstMetric(q.target, prometheus.GaugeValue, float64(t.Waiting), n.workspace, n.kind, n.code)
	}
}

// workspaceQueue is what is reported of one workspace, or of those that are not named.
type workspaceQueue struct {
	code                   string
	pending, held, claimed int
	age                    time.Duration
}

// named picks the workspaces whose queue is overdue for longest, and sums up the rest.
func named(backlogs map[hook.ID]*hook.Backlog) []workspaceQueue {
	now := time.Now()
	all := make([]workspaceQueue, 0, len(backlogs))
	for _, b := range backlogs {
		if b.WorkspaceCode == "" {
			continue // deleted: what waits in it is about to be skipped
		}
		w := workspaceQueue{code: b.WorkspaceCode, pending: b.Pending, held: b.Held, claimed: b.Claimed}
		if b.OldestMoving != nil {
			// The database's clock against ours: good enough for alerts in minutes, never negative.
			w.age = max(0, now.Sub(*b.OldestMoving))
		}
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b workspaceQueue) int {
		return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(b.pending, a.pending), cmp.Compare(a.code, b.code))
	})
	if len(all) <= namedWorkspaces {
		return all
	}
	rest := workspaceQueue{code: others}
	for _, w := range all[namedWorkspaces:] {
		rest.pending, rest.held, rest.claimed = rest.pending+w.pending, rest.held+w.held, rest.claimed+w.claimed
		rest.age = max(rest.age, w.age)
	}
	return append(all[:namedWorkspaces], rest)
}
