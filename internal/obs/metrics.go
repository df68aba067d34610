package obs

import (
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sallyport/internal/hook"
)

// Metrics counts and times. Its methods may be called from any goroutine and, except for
// HTTPRequest's first call of each kind, take neither a lock nor a look-up of labels, so that
// hot paths can afford them. Rooms declare those they call as an interface.
type Metrics struct {
	registry *prometheus.Registry

	events     prometheus.Counter
	deliveries prometheus.Counter
	rescued    prometheus.Counter
	attempts   prometheus.Counter

	attemptSeconds map[hook.Outcome]prometheus.Observer
	otherAttempt   prometheus.Observer
	latency        prometheus.Histogram

	acceptSize, acceptSeconds prometheus.Histogram
	finishSize, finishSeconds prometheus.Histogram
	sending, held             prometheus.Gauge
	hold                      prometheus.Gauge

	replays        *prometheus.CounterVec
	repeated       prometheus.Counter
	doorCalls      *prometheus.CounterVec
	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	// resolved is replaced whenever a new kind of request was seen; see HTTPRequest.
	resolved atomic.Pointer[map[requestKind]requestMetrics]
	resolve  sync.Mutex
}

type requestKind struct {
	operation string
	status    int
}

type requestMetrics struct {
	count   prometheus.Counter
	seconds prometheus.Observer
}

var (
	// timeBuckets go from what an idle machine needs for a delivery to the longest timeout.
	timeBuckets = []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 60}
	// latencyBuckets go on through the default schedule of retries, which ends after four days.
	latencyBuckets = append(append([]float64(nil), timeBuckets...), 300, 3600, 6*3600, 24*3600, 4*24*3600)
	// batchBuckets are the powers of two up to the largest batch.
	batchBuckets = prometheus.ExponentialBuckets(1, 2, 11)
)

// NewMetrics makes the metrics of one process in a registry of their own.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		m.registry.MustRegister(h)
		return h
	}
	m.events = counter("sallyport_events_accepted_total", "Events committed, duplicates not counted.")
	m.deliveries = counter("sallyport_deliveries_created_total", "Deliveries that accepted events made.")
	m.rescued = counter("sallyport_deliveries_rescued_total", "Deliveries taken over from nodes that died or lost them.")
	// Without labels: alerts compare its rate with that of the deliveries created.
	m.attempts = counter("sallyport_attempts_total", "Attempts that ended, however they did; by outcome see sallyport_attempt_duration_seconds_count.")
	m.repeated = counter("sallyport_deliveries_replayed_total", "Deliveries that replays made to wait again, or made.")
	m.latency = histogram("sallyport_delivery_latency_seconds", "From an event's acceptance to its delivery's success.", latencyBuckets)
	m.acceptSize = histogram("sallyport_accept_batch_events", "Events per accepting transaction.", batchBuckets)
	m.acceptSeconds = histogram("sallyport_accept_batch_seconds", "Length of an accepting transaction.", timeBuckets)
	m.finishSize = histogram("sallyport_finish_batch_deliveries", "Deliveries per finishing transaction.", batchBuckets)
	m.finishSeconds = histogram("sallyport_finish_batch_seconds", "Length of a finishing transaction.", timeBuckets)

	attempts := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sallyport_attempt_duration_seconds", Help: "Length of one exchange with a receiver, by outcome.", Buckets: timeBuckets,
	}, []string{"outcome"})
	m.attemptSeconds = map[hook.Outcome]prometheus.Observer{}
	for _, o := range []hook.Outcome{hook.OutcomeSucceeded, hook.OutcomeFailed, hook.OutcomeAborted, hook.OutcomeSuperseded} {
		m.attemptSeconds[o] = attempts.WithLabelValues(string(o))
	}
	m.otherAttempt = attempts.WithLabelValues("other")

	slots := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "sallyport_slots", Help: "Slots taken on this node: sending a request, or held until its outcome is committed.",
	}, []string{"state"})
	m.sending, m.held = slots.WithLabelValues("sending"), slots.WithLabelValues("held")

	m.hold = prometheus.NewGauge(prometheus.GaugeOpts{Name: "sallyport_hold", Help: "1 while the installation is on hold and nothing is sent, else 0."})
	m.registry.MustRegister(m.hold)

	m.replays = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sallyport_replays_total", Help: "Replays that began (started) or ended (succeeded, cancelled, failed).",
	}, []string{"state"})
	m.doorCalls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sallyport_requests_total", Help: "Calls of incoming webhooks by verdict; door is the code, empty for codes that are no door's.",
	}, []string{"door", "verdict", "reason"})
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sallyport_http_requests_total", Help: "Requests answered, by operation of the contract and status.",
	}, []string{"operation", "status"})
	m.requestSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "sallyport_http_request_duration_seconds", Help: "From a request's head to the end of its answer, by operation; that of publishing includes the commit.", Buckets: timeBuckets,
	}, []string{"operation"})
	m.resolved.Store(&map[requestKind]requestMetrics{})

	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sallyport_build_info", Help: "Always 1; the version is in the label."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(attempts, slots, m.replays, m.doorCalls, m.requests, m.requestSeconds, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// DoorCall counts a call of an incoming webhook.
func (m *Metrics) DoorCall(door string, verdict hook.Verdict, reason string) {
	m.doorCalls.WithLabelValues(door, string(verdict), reason).Inc()
}

// Accepted counts events that were committed, and the deliveries they made.
func (m *Metrics) Accepted(events, deliveries int) {
	m.events.Add(float64(events))
	m.deliveries.Add(float64(deliveries))
}

// Replayed counts deliveries that replays made to wait again, and those they made.
func (m *Metrics) Replayed(again, made int) {
	m.repeated.Add(float64(again + made))
	m.deliveries.Add(float64(made))
}

// ReplayState counts replays that began or ended.
func (m *Metrics) ReplayState(state string) { m.replays.WithLabelValues(state).Inc() }

// AcceptBatch measures one accepting transaction.
func (m *Metrics) AcceptBatch(events int, took time.Duration) {
	m.acceptSize.Observe(float64(events))
	m.acceptSeconds.Observe(took.Seconds())
}

// FinishBatch measures one finishing transaction.
func (m *Metrics) FinishBatch(deliveries int, took time.Duration) {
	m.finishSize.Observe(float64(deliveries))
	m.finishSeconds.Observe(took.Seconds())
}

// Attempt measures one try of a delivery.
func (m *Metrics) Attempt(outcome hook.Outcome, took time.Duration) {
	m.attempts.Inc()
	seconds, ok := m.attemptSeconds[outcome]
	if !ok {
		seconds = m.otherAttempt
	}
	seconds.Observe(took.Seconds())
}

// Delivered measures a delivery's way from the acceptance of its event to success.
func (m *Metrics) Delivered(sinceAccept time.Duration) { m.latency.Observe(sinceAccept.Seconds()) }

// InFlight sets how many slots are taken at this moment.
func (m *Metrics) InFlight(sending, held int) {
	m.sending.Set(float64(sending))
	m.held.Set(float64(held))
}

// Hold sets whether this node sends nothing because the installation is on hold.
func (m *Metrics) Hold(on bool) {
	if on {
		m.hold.Set(1)
	} else {
		m.hold.Set(0)
	}
}

// Rescued counts deliveries taken over from dead nodes.
func (m *Metrics) Rescued(n int) { m.rescued.Add(float64(n)) }

// HTTPRequest measures one answered request. operation must come from the contract, never from
// the request: every new value is a new time series, kept for good.
func (m *Metrics) HTTPRequest(operation string, status int, took time.Duration) {
	kind := requestKind{operation, status}
	found, ok := (*m.resolved.Load())[kind]
	if !ok {
		found = m.resolveRequest(kind)
	}
	found.count.Inc()
	found.seconds.Observe(took.Seconds())
}

// resolveRequest looks the labels up once, and makes the result readable without a lock.
func (m *Metrics) resolveRequest(kind requestKind) requestMetrics {
	m.resolve.Lock()
	defer m.resolve.Unlock()
	found := requestMetrics{
		count:   m.requests.WithLabelValues(kind.operation, strconv.Itoa(kind.status)),
		seconds: m.requestSeconds.WithLabelValues(kind.operation),
	}
	next := maps.Clone(*m.resolved.Load())
	next[kind] = found
	m.resolved.Store(&next)
	return found
}

// Handler serves the metrics in Prometheus' text form. A metric that cannot be collected, such
// as the queue while the database is away, is logged and left out; the others are served.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      errorLog{log},
		// Collecting asks the database; more scrapers than this wait for nothing new.
		MaxRequestsInFlight: 4,
	})
}

// errorLog is what promhttp logs to.
type errorLog struct{ log *slog.Logger }

func (l errorLog) Println(v ...any) {
	for _, x := range v {
		if err, ok := x.(error); ok {
			// promhttp hands over no context.
			l.log.Warn("metrics.incomplete", "error", err)
		}
	}
}
