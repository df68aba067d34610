package dispatch

import (
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/hook"
)

// mailed has everything told by mail.
func (b *bench) mailed() {
	b.view.Alerts = hook.Alerts{Emails: []string{"ops@example.com"}, EventTypes: hook.OperationalTypes}
}

func status(code int) senderFunc {
	return func(context.Context, *hook.Target, *hook.Job, int) hook.Attempt {
		return hook.Attempt{Outcome: hook.OutcomeFailed, ErrorClass: hook.ClassStatus, Error: "no", Response: &hook.ReceivedResponse{Status: code}}
	}
}

// The event about a delivery that is given up is stored with its end, once, and matched
// anew when the configuration has changed, without another attempt.
func TestExhaustedDeliveriesAreToldOfWithTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{Code: "erp", MaxAttempts: 2, Retry: schedule}, status(503), nil)
		b.mailed()
		b.store.stale = 2
		id, _ := b.publish()
		time.Sleep(2 * time.Hour)
		if state, reason := b.store.state(id); state != hook.StateFailed || reason != hook.ReasonAttemptsExhausted {
			t.Fatalf("the delivery is %s (%s)", state, reason)
		}
		if n := len(b.sends()); n != 2 {
			t.Errorf("%d attempts, want two: what is told is matched anew, not sent anew", n)
		}
		if len(b.store.told) != 1 || b.store.told[0].Event.Type != hook.TypeDeliveryExhausted {
			t.Fatalf("told %+v", b.store.told)
		}
		e := b.store.told[0]
		var x hook.ExhaustedEntity
		if err := json.Unmarshal(e.Event.Entity, &x); err != nil || x.Delivery != id || x.Target.Code != "erp" || x.Attempts != 2 || x.Status != 503 || x.Error != "no" {
			t.Errorf("told %s, %v", e.Event.Entity, err)
		}
		if d := e.Deliveries; len(d) != 1 || d[0].TargetKind != hook.TargetAlert || d[0].Once == nil || d[0].Born || e.Once != nil {
			t.Errorf("mailed by %+v", d)
		}
		if held, inHand, bytes := lookup(b.d, b.target.ID); held+inHand != 0 || bytes != 0 {
			t.Errorf("left in hand: %d, %d, %d bytes", held, inHand, bytes)
		}
	})
}

// Nothing is told where nobody listens, of deliveries that go on or end well, and of our
// own events.
func TestWhatIsNotToldOf(t *testing.T) {
	for name, test := range map[string]struct {
		send senderFunc
		make func(b *bench, j *hook.Job)
		deaf bool
	}{
		"nobody listens": {send: status(503), deaf: true},
		"success":        {send: success},
		"our own event":  {send: status(503), make: func(_ *bench, j *hook.Job) { j.Event.Type = hook.TypeWebhookSuspended }},
		"a test":         {send: status(503), make: func(_ *bench, j *hook.Job) { j.Delivery.Test = true }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := start(t, &hook.Target{MaxAttempts: 1, Retry: schedule}, test.send, nil)
				if !test.deaf {
					b.mailed()
				}
				j := b.reserved(t)
				if test.make != nil {
					test.make(b, j)
				}
				b.d.HandOver(j)
				synctest.Wait()
				if state, _ := b.store.state(j.Delivery.ID); !state.Final() {
					t.Fatalf("the delivery is %s", state)
				}
				if len(b.store.told) != 0 {
					t.Errorf("told %+v", b.store.told)
				}
			})
		})
	}
}

// reserved stores a delivery that is born claimed, without handing it over.
func (b *bench) reserved(t *testing.T) *hook.Job {
	t.Helper()
	id, ok := b.d.Reserve(b.target, 512)
	if !ok {
		t.Fatal("no room")
	}
	e := hook.Event{Key: id, Workspace: b.target.Workspace, ID: id.String(), Type: "thing"}
	if _, err := b.store.Accept(t.Context(), &hook.AcceptBatch{Node: b.d.Node(), Events: []*hook.PlannedEvent{{
		Event: e, Deliveries: []hook.PlannedDelivery{{ID: id, Target: b.target.ID, Born: true, Trigger: hook.TriggerFirst}},
	}}}); err != nil {
		t.Fatal(err)
	}
	return &hook.Job{Node: b.d.Node(), Event: &e, Trigger: hook.TriggerFirst,
		Delivery: hook.Delivery{ID: id, Workspace: e.Workspace, EventKey: e.Key, Target: b.target.ID, State: hook.StateRunning}}
}

// A receiver that is gone suspends its webhook before the delivery's end is stored,
// however often that has to be tried.
func TestGoneSuspendsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, &hook.Target{MaxAttempts: 5, Retry: schedule}, status(410), nil)
		b.mailed()
		b.owner.unable = 3
		id, _ := b.publish()
		synctest.Wait()
		if state, _ := b.store.state(id); state.Final() {
			t.Fatalf("the delivery is %s before the webhook is suspended", state)
		}
		time.Sleep(time.Minute)
		b.owner.mu.Lock()
		defer b.owner.mu.Unlock()
		if b.owner.suspended[b.target.ID] != hook.SuspendedGone {
			t.Errorf("suspended: %v", b.owner.suspended)
		}
		if x := b.owner.trouble; x.Failures != 1 || x.FailingSince == nil || x.Status != 410 || x.Error != "no" {
			t.Errorf("in trouble: %+v", x)
		}
		if state, reason := b.store.state(id); state != hook.StateFailed || reason != hook.ReasonGone {
			t.Errorf("the delivery is %s (%s)", state, reason)
		}
		if len(b.store.told) != 0 {
			t.Errorf("mailed twice of one thing: %+v", b.store.told)
		}
	})
}

// A webhook that answers after its breaker had opened has recovered.
func TestRecoveryIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var well atomic.Bool
		b := start(t, &hook.Target{Code: "erp", MaxAttempts: 50, Retry: hook.Retry{Schedule: []time.Duration{time.Second}}},
			func(ctx context.Context, x *hook.Target, j *hook.Job, n int) hook.Attempt {
				if well.Load() {
					return success(ctx, x, j, n)
				}
				return failure(ctx, x, j, n)
			}, nil)
		b.publish()
		time.Sleep(15 * time.Second)
		b.owner.mu.Lock()
		if len(b.owner.announced) != 0 {
			t.Errorf("announced %+v", b.owner.announced)
		}
		b.owner.mu.Unlock()
		well.Store(true)
		time.Sleep(time.Hour)
		b.owner.mu.Lock()
		defer b.owner.mu.Unlock()
		i := slices.IndexFunc(b.owner.announced, func(n hook.Notice) bool { return n.Type == hook.TypeWebhookRecovered })
		if len(b.owner.announced) != 1 || i != 0 {
			t.Fatalf("announced %+v", b.owner.announced)
		}
		n := b.owner.announced[0]
		if e, ok := n.Entity.(hook.RecoveredEntity); !ok || e.Failures != 10 || e.FailingSince == nil || e.Webhook.Code != "erp" || n.Once == nil || n.MailOnce == nil {
			t.Errorf("announced %+v", n)
		}
	})
}
