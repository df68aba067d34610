package backoff_test

import (
	"math"
	"testing"
	"time"

	"sallyport/internal/backoff"
	"sallyport/internal/hook"
)

func TestDefaultSchedule(t *testing.T) {
	t.Parallel()
	r := backoff.Default()
	want := []string{"5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "1d", "1d", "1d"}
	for i, text := range want {
		if got := hook.FormatDuration(backoff.Wait(r, i+1, 0.5)); got != text {
			t.Errorf("wait after attempt %d = %s, want %s", i+1, got, text)
		}
	}
	r.Schedule[0] = time.Hour
	if got := backoff.Default().Schedule[0]; got != 5*time.Second {
		t.Errorf("a caller changed the default schedule to begin with %v", got)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	doubling := &hook.Exponential{Initial: time.Second, Factor: 2, Max: time.Minute}
	for name, c := range map[string]struct {
		retry   hook.Retry
		attempt int
		chance  float64
		want    time.Duration
	}{
		"least luck waits ten percent less": {backoff.Default(), 1, 0, 4500 * time.Millisecond},
		"middle luck waits the plain time":  {backoff.Default(), 2, 0.5, 5 * time.Minute},
		"luck near one waits ten percent more": {
			hook.Retry{Linear: &hook.Linear{Interval: time.Hour}, Jitter: 0.1}, 1, 1, 66 * time.Minute},
		"no jitter ignores luck":                 {hook.Retry{Schedule: []time.Duration{time.Second}}, 1, 0.9, time.Second},
		"the last wait repeats":                  {hook.Retry{Schedule: []time.Duration{time.Second, time.Hour}}, 7, 0, time.Hour},
		"attempt zero counts as the first":       {hook.Retry{Schedule: []time.Duration{time.Second, time.Hour}}, 0, 0, time.Second},
		"exponential starts at initial":          {hook.Retry{Exponential: doubling}, 1, 0, time.Second},
		"exponential grows by its factor":        {hook.Retry{Exponential: doubling}, 5, 0, 16 * time.Second},
		"exponential stops at max":               {hook.Retry{Exponential: doubling}, 7, 0, time.Minute},
		"exponential does not overflow":          {hook.Retry{Exponential: doubling}, 5000, 0, time.Minute},
		"exponential without max is bounded too": {hook.Retry{Exponential: &hook.Exponential{Initial: time.Hour, Factor: 10}}, 50, 0, backoff.MaxWait},
		"factor one stays":                       {hook.Retry{Exponential: &hook.Exponential{Initial: time.Hour, Factor: 1, Max: 2 * time.Hour}}, 50, 0, time.Hour},
		"linear waits the same each time":        {hook.Retry{Linear: &hook.Linear{Interval: time.Minute}}, 9, 0, time.Minute},
		"no form waits as the default does":      {hook.Retry{}, 3, 0.3, 30 * time.Minute},
		"negative waits are none":                {hook.Retry{Linear: &hook.Linear{Interval: -time.Minute}}, 1, 0, 0},
		"a jitter above one never goes below zero": {
			hook.Retry{Linear: &hook.Linear{Interval: time.Minute}, Jitter: 5}, 1, 0, 0},
	} {
		if got := backoff.Wait(c.retry, c.attempt, c.chance); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 20, 56, 59, 500e6, time.UTC)
	for name, c := range map[string]struct {
		value, date string
		want        time.Duration
	}{
		"seconds":                               {"120", "", 2 * time.Minute},
		"spaces around":                         {" 120 ", "", 2 * time.Minute},
		"zero":                                  {"0", "", 0},
		"a day and a second is cut to a day":    {"86401", "", 24 * time.Hour},
		"more digits than any integer":          {"99999999999999999999999999", "", 24 * time.Hour},
		"date":                                  {"Sat, 21 Nov 2026 20:58:00 GMT", "", 60*time.Second + 500*time.Millisecond},
		"date against the receiver's own clock": {"Sat, 21 Nov 2026 10:01:00 GMT", "Sat, 21 Nov 2026 10:00:00 GMT", time.Minute},
		"unreadable Date header is ignored":     {"Sat, 21 Nov 2026 20:58:00 GMT", "noon", 60*time.Second + 500*time.Millisecond},
		"RFC 850 date":                          {"Saturday, 21-Nov-26 20:57:00 GMT", "", 500 * time.Millisecond},
		"asctime date":                          {"Sat Nov 21 20:57:00 2026", "", 500 * time.Millisecond},
		"date in the past":                      {"Sat, 21 Nov 2020 20:57:00 GMT", "", 0},
		"date next year is cut to a day":        {"Sun, 21 Nov 2027 20:57:00 GMT", "", 24 * time.Hour},
		"negative":                              {"-5", "", 0},
		"fraction":                              {"1.5", "", 0},
		"word":                                  {"soon", "", 0},
		"empty":                                 {"", "", 0},
	} {
		if got := backoff.RetryAfter(c.value, c.date, now); got != c.want {
			t.Errorf("%s: RetryAfter(%q) = %v, want %v", name, c.value, got, c.want)
		}
	}
}

func FuzzWait(f *testing.F) {
	f.Add(int64(time.Second), 2.0, int64(time.Hour), 3, 0.1, 0.5)
	f.Add(int64(math.MaxInt64), 1e300, int64(0), math.MaxInt32, 1.0, 1.0)
	f.Fuzz(func(t *testing.T, initial int64, factor float64, longest int64, attempt int, jitter, chance float64) {
		r := hook.Retry{Exponential: &hook.Exponential{Initial: time.Duration(initial), Factor: factor, Max: time.Duration(longest)}, Jitter: jitter}
		if math.IsNaN(jitter) || math.IsNaN(chance) {
			return
		}
		if got := backoff.Wait(r, attempt, chance); got < 0 || got > 2*backoff.MaxWait {
			t.Errorf("Wait = %v", got)
		}
	})
}
