package dispatch

import (
	"testing"
	"time"

	"sallyport/internal/hook"
)

// What follows an attempt.
func TestDecide(t *testing.T) {
	target := &hook.Target{Kind: hook.TargetWebhook, MaxAttempts: 3, Retry: schedule}
	status := func(code int) *hook.ReceivedResponse { return &hook.ReceivedResponse{Status: code} }
	for _, c := range []struct {
		name     string
		attempts int // before
		base     int
		test     bool
		a        hook.Attempt
		state    hook.State
		reason   hook.Reason
		wait     time.Duration
		counted  int
	}{
		{"success", 0, 0, false, hook.Attempt{Outcome: hook.OutcomeSucceeded, Response: status(200)}, hook.StateSucceeded, "", 0, 1},
		{"first failure", 0, 0, false, hook.Attempt{Outcome: hook.OutcomeFailed, Response: status(500)}, hook.StatePending, "", time.Minute, 1},
		{"not found is retried", 0, 0, false, hook.Attempt{Outcome: hook.OutcomeFailed, Response: status(404)}, hook.StatePending, "", time.Minute, 1},
		{"second failure", 1, 0, false, hook.Attempt{Outcome: hook.OutcomeFailed}, hook.StatePending, "", time.Hour, 2},
		{"last failure", 2, 0, false, hook.Attempt{Outcome: hook.OutcomeFailed}, hook.StateFailed, hook.ReasonAttemptsExhausted, 0, 3},
		{"fresh budget after an operator's retry", 3, 3, false, hook.Attempt{Outcome: hook.OutcomeFailed}, hook.StatePending, "", time.Minute, 4},
		{"longer wait asked for", 0, 0, false, hook.Attempt{Outcome: hook.OutcomeFailed, RetryAfter: 5 * time.Minute}, hook.StatePending, "", 5 * time.Minute, 1},
		{"shorter wait asked for", 0, 0, false, hook.Attempt{Outcome: hook.OutcomeFailed, RetryAfter: time.Second}, hook.StatePending, "", time.Minute, 1},
		{"gone", 0, 0, false, hook.Attempt{Outcome: hook.OutcomeFailed, Response: status(410)}, hook.StateFailed, hook.ReasonGone, 0, 1},
		{"permanent", 0, 0, false, hook.Attempt{Outcome: hook.OutcomeFailed, Permanent: true}, hook.StateFailed, hook.ReasonPermanentError, 0, 1},
		{"cut off by our stop", 1, 0, false, hook.Attempt{Outcome: hook.OutcomeAborted}, hook.StatePending, "", 0, 1},
		{"a test is tried once", 0, 0, true, hook.Attempt{Outcome: hook.OutcomeFailed, Response: status(500)}, hook.StateFailed, hook.ReasonAttemptsExhausted, 0, 1},
		{"a test suspends nothing", 0, 0, true, hook.Attempt{Outcome: hook.OutcomeFailed, Response: status(410)}, hook.StateFailed, hook.ReasonAttemptsExhausted, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := &hook.Job{Delivery: hook.Delivery{Attempts: c.attempts, Base: c.base, Test: c.test}}
			c.a.Number = c.attempts + 1
			f := decide(j, &c.a, target, 0.5)
			if f.State != c.state || f.Reason != c.reason || f.Wait != c.wait || f.Attempts != c.counted {
				t.Errorf("%s (%s) after %s with %d attempts, want %s (%s) after %s with %d",
					f.State, f.Reason, f.Wait, f.Attempts, c.state, c.reason, c.wait, c.counted)
			}
		})
	}
}
