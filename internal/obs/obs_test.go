package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/obs"
)

func TestLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := obs.Logger(&out, slog.LevelInfo, true)
	log.Debug("hidden")
	log.Info("delivery.attempted", "delivery_id", "d1", "key", hook.Sensitive("planted"))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("not one JSON line: %v: %s", err, out.Bytes())
	}
	if at, err := time.Parse(time.RFC3339Nano, line["time"].(string)); err != nil || !strings.HasSuffix(line["time"].(string), "Z") || time.Since(at) > time.Minute {
		t.Errorf("time %v, %v", line["time"], err)
	}
	if line["msg"] != "delivery.attempted" || line["delivery_id"] != "d1" || line["level"] != "INFO" || line["key"] != "[redacted]" {
		t.Errorf("%v", line)
	}

	out.Reset()
	obs.Logger(&out, slog.LevelWarn, false).Warn("careful", "reason", "two words")
	if text := out.String(); !strings.Contains(text, `level=WARN msg=careful reason="two words"`) || len(strings.Fields(text)[0]) != len("time=15:04:05.000") {
		t.Errorf("%q", text)
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	// A device, but nobody looks at it: a key printed there would not be seen.
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if obs.Terminal(file) {
		t.Errorf("%s is taken for a terminal", os.DevNull)
	}
}

func scrape(t *testing.T, m *obs.Metrics, log *slog.Logger) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler(log).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if recorder.Code != 200 {
		t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	return recorder.Body.String()
}

// fakeQueue is a queue of which every target is among the largest.
type fakeQueue struct {
	targets []hook.TargetStat
	err     error
}

func (f fakeQueue) Targets(context.Context) (out []hook.TargetQueue, err error) {
	for _, t := range f.targets {
		out = append(out, t.TargetQueue)
	}
	return out, f.err
}

func (f fakeQueue) Backlogs(ctx context.Context) (map[hook.ID]*hook.Backlog, error) {
	targets, err := f.Targets(ctx)
	q := hook.Queue{Targets: targets}
	return q.Backlogs(), err
}

func (f fakeQueue) Largest(context.Context, int) ([]hook.TargetStat, error) { return f.targets, f.err }

func TestMetricsNameOnlySoManyWorkspaces(t *testing.T) {
	t.Parallel()
	m := obs.NewMetrics("")
	var targets []hook.TargetStat
	for n := range 250 {
		due := time.Now().Add(-time.Duration(n+1) * time.Minute)
		targets = append(targets, hook.TargetStat{TargetQueue: hook.TargetQueue{
			Workspace: hook.ID{1, byte(n)}, WorkspaceCode: "w" + strconv.Itoa(n), Waiting: 2, OldestDue: &due, Active: true,
		}})
	}
	m.WatchQueue(fakeQueue{targets: targets})
	text := scrape(t, m, slog.New(slog.DiscardHandler))
	if n := strings.Count(text, "\nsallyport_queue_waiting{"); n != 101 {
		t.Errorf("%d workspaces are named", n)
	}
	for _, want := range []string{`sallyport_queue_waiting{workspace="w249"} 2`, `sallyport_queue_waiting{workspace="(others)"} 300`} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("%q is not among the metrics", want)
		}
	}
	wantAge(t, text, `sallyport_queue_oldest_seconds{workspace="(others)"}`, 150*time.Minute)
}

// wantAge looks whether a metric is an age that was want not long ago, a pause of the machine included.
func wantAge(t *testing.T, text, metric string, want time.Duration) {
	t.Helper()
	_, rest, _ := strings.Cut(text, "\n"+metric+" ")
	line, _, _ := strings.Cut(rest, "\n")
	if age, err := strconv.ParseFloat(line, 64); err != nil || age < want.Seconds() || age >= (want+time.Minute).Seconds() {
		t.Errorf("%s is %q, want %v and a little", metric, line, want.Seconds())
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := obs.NewMetrics("1.2.3")
	m.Accepted(3, 5)
	m.AcceptBatch(3, time.Millisecond)
	m.FinishBatch(7, time.Millisecond)
	m.Attempt(hook.OutcomeSucceeded, 3*time.Millisecond)
	m.Attempt(hook.OutcomeFailed, time.Second)
	m.Attempt("unheard of", time.Second)
	m.Delivered(4 * time.Millisecond)
	m.InFlight(11, 2)
	m.Rescued(4)
	for range 3 {
		m.HTTPRequest("PublishEvent", 202, time.Millisecond)
	}
	m.HTTPRequest("PublishEvent", 422, time.Millisecond)
	due := time.Now().Add(-time.Minute)
	long := time.Now().Add(-time.Hour)
	m.WatchQueue(fakeQueue{targets: []hook.TargetStat{
		{TargetQueue: hook.TargetQueue{Workspace: hook.ID{1}, WorkspaceCode: "default", Target: hook.ID{1}, Waiting: 9, Claimed: 2, OldestDue: &due, Active: true}, Kind: "webhook", Code: "erp"},
		{TargetQueue: hook.TargetQueue{Workspace: hook.ID{1}, WorkspaceCode: "default", Target: hook.ID{2}, Waiting: 3, OldestDue: &long, Active: true, Broken: true}, Kind: "webhook", Code: "down"},
		{TargetQueue: hook.TargetQueue{Workspace: hook.ID{1}, WorkspaceCode: "default", Target: hook.ID{3}, Waiting: 4, OldestDue: &long}, Kind: "webhook", Code: "down"},
		{TargetQueue: hook.TargetQueue{Workspace: hook.ID{2}, WorkspaceCode: "calm", Target: hook.ID{4}, Waiting: 1, Active: true}, Kind: "action", Code: "book"},
	}})
	m.WatchSize(func(context.Context) (int64, error) { return 4096, nil })
	text := scrape(t, m, slog.New(slog.DiscardHandler))
	for _, want := range []string{
		"sallyport_database_bytes 4096",
		"sallyport_events_accepted_total 3", "sallyport_deliveries_created_total 5", "sallyport_deliveries_rescued_total 4",
		"sallyport_attempts_total 3", `sallyport_attempt_duration_seconds_count{outcome="succeeded"} 1`,
		`sallyport_attempt_duration_seconds_bucket{outcome="succeeded",le="0.005"} 1`, `sallyport_attempt_duration_seconds_count{outcome="other"} 1`,
		"sallyport_accept_batch_events_sum 3", "sallyport_finish_batch_deliveries_sum 7", "sallyport_delivery_latency_seconds_count 1",
		`sallyport_slots{state="sending"} 11`, `sallyport_slots{state="held"} 2`,
		`sallyport_http_requests_total{operation="PublishEvent",status="202"} 3`, `sallyport_http_requests_total{operation="PublishEvent",status="422"} 1`,
		`sallyport_http_request_duration_seconds_count{operation="PublishEvent"} 4`,
		`sallyport_queue_waiting{workspace="default"} 12`, `sallyport_queue_held{workspace="default"} 4`, `sallyport_queue_targets{kept_by="held"} 1`,
		`sallyport_queue_targets{kept_by="breaker"} 1`, `sallyport_queue_targets{kept_by="nothing"} 2`,
		`sallyport_target_waiting{kind="webhook",target="erp",workspace="default"} 9`, `sallyport_target_waiting{kind="webhook",target="down",workspace="default"} 3`,
		`sallyport_target_waiting{kind="action",target="book",workspace="calm"} 1`,
		`sallyport_queue_claimed{workspace="default"} 2`,
		`sallyport_queue_oldest_seconds{workspace="calm"} 0`,
		`sallyport_build_info{version="1.2.3"} 1`, "go_goroutines ", "process_start_time_seconds ",
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("%q is not among the metrics", want)
		}
	}
	wantAge(t, text, `sallyport_queue_oldest_seconds{workspace="default"}`, time.Minute)
}

func TestMetricsWithoutDatabase(t *testing.T) {
	t.Parallel()
	m := obs.NewMetrics("")
	m.WatchQueue(fakeQueue{err: errors.New("the database is away")})
	var log bytes.Buffer
	text := scrape(t, m, obs.Logger(&log, slog.LevelInfo, true))
	if !strings.Contains(text, "sallyport_events_accepted_total 0") {
		t.Error("without a queue there are no other metrics either")
	}
	if strings.Contains(text, "sallyport_queue") || !strings.Contains(log.String(), "the database is away") {
		t.Errorf("log: %s", log.String())
	}
}

func TestHTTPRequestConcurrently(t *testing.T) {
	t.Parallel()
	m := obs.NewMetrics("")
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for status := range 50 {
				m.HTTPRequest("op", 200+status, time.Millisecond)
			}
		})
	}
	done.Wait()
	text := scrape(t, m, slog.New(slog.DiscardHandler))
	if got := strings.Count(text, "} 8\n"); got < 50 {
		t.Errorf("%d of 50 kinds of request were counted 8 times", got)
	}
}

func BenchmarkMetrics(b *testing.B) {
	m := obs.NewMetrics("")
	b.Run("Accepted", func(b *testing.B) {
		for b.Loop() {
			m.Accepted(1, 1)
		}
	})
	b.Run("Attempt", func(b *testing.B) {
		for b.Loop() {
			m.Attempt(hook.OutcomeSucceeded, 300*time.Microsecond)
		}
	})
	b.Run("HTTPRequest", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.HTTPRequest("PublishEvent", 202, 300*time.Microsecond)
		}
	})
}
