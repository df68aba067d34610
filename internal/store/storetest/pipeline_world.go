package storetest

import (
	"context"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
)

type pipelineWorld struct {
	*store.Store
	ctx  context.Context
	ids  *hook.IDs
	ws   hook.ID
	node hook.NodeID
	ver  int64
}

func newPipelineWorld(t *testing.T, s *store.Store) *pipelineWorld {
	t.Helper()
	w := &pipelineWorld{Store: s, ctx: t.Context(), ids: hook.NewIDs()}
	def, err := s.EnsureDefaultWorkspace(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.ws = def.ID
	versions, err := s.ConfigVersions(w.ctx, []hook.ID{w.ws})
	if err != nil {
		t.Fatal(err)
	}
	w.ver = versions[w.ws]
	w.node = w.register(t, "one")
	return w
}

func (w *pipelineWorld) register(t *testing.T, instance string) hook.NodeID {
	t.Helper()
	node, now, err := w.Register(w.ctx, instance, "test", w.ids.New())
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(now); d > time.Minute || d < -time.Minute {
		t.Fatalf("the database says it is %s", now)
	}
	return node
}

// event plans an event with a delivery for each target; born ones are this node's.
func (w *pipelineWorld) event(born bool, targets ...hook.ID) *hook.PlannedEvent {
	e := &hook.PlannedEvent{Event: hook.Event{
		Key: w.ids.New(), Workspace: w.ws, Type: "order.paid", EntityID: hook.EntityID{Text: "12345678901234567890", Number: true},
		Entity: []byte("{\"a\":1.10,\"a\":\"<\\u0000\", \"n\":12345678901234567890}"), EntityURL: "https://example.com/1",
		Timestamp: time.UnixMilli(1795294619123).UTC(), Source: hook.Source{Kind: hook.SourceAPI, ID: w.ids.New(), RequestID: w.ids.New()},
		Hops: 2, Matched: len(targets),
	}}
	e.Event.ID = e.Event.Key.String()
	for _, target := range targets {
		e.Deliveries = append(e.Deliveries, hook.PlannedDelivery{ID: w.ids.New(), TargetKind: hook.TargetWebhook, Target: target, Born: born, Trigger: hook.TriggerFirst})
	}
	return e
}

func (w *pipelineWorld) accept(t *testing.T, events ...*hook.PlannedEvent) hook.AcceptResult {
	t.Helper()
	res, err := w.Accept(w.ctx, w.batch(events...))
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (w *pipelineWorld) batch(events ...*hook.PlannedEvent) *hook.AcceptBatch {
	return &hook.AcceptBatch{Node: w.node, Versions: map[hook.ID]int64{w.ws: w.ver}, Events: events}
}

func (w *pipelineWorld) claim(t *testing.T, node hook.NodeID, n int, targets ...hook.ID) []*hook.Job {
	t.Helper()
	wants := make([]hook.LaneWant, len(targets))
	for i, target := range targets {
		wants[i] = hook.LaneWant{Target: target, N: n}
	}
	jobs, _, err := w.Claim(w.ctx, node, wants, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		j.Node = node
	}
	return jobs
}

// born is the job of an event's first delivery, as handed over at birth.
func (w *pipelineWorld) born(e *hook.PlannedEvent) *hook.Job {
	return &hook.Job{Node: w.node, Event: &e.Event, Trigger: hook.TriggerFirst, Delivery: hook.Delivery{
		ID: e.Deliveries[0].ID, Workspace: w.ws, EventKey: e.Event.Key, TargetKind: hook.TargetWebhook, Target: e.Deliveries[0].Target, State: hook.StateRunning}}
}

func (w *pipelineWorld) attempt(j *hook.Job, outcome hook.Outcome) *hook.Attempt {
	body := append(append([]byte(`{"entity":`), j.Event.Entity...), '}')
	return &hook.Attempt{
		ID: w.ids.New(), Delivery: j.Delivery.ID, Number: j.Delivery.Attempts + 1, Trigger: j.Trigger, StartedAt: w.ids.Now(), Outcome: outcome,
		Request: &hook.SentRequest{Method: "POST", URL: "https://example.com", Headers: []hook.HeaderField{{Name: "X-A", Value: "é\""}, {Name: "Authorization", Redacted: true}},
			Body: hook.Body{Bytes: body, Size: int64(len(body))}, EntityAt: 10},
		Response: &hook.ReceivedResponse{Status: 200, Headers: []hook.HeaderField{{Name: "X-B", Value: "b"}}, Body: hook.Body{Bytes: []byte{0xff, 0, 'x'}, Size: 3}},
		Timings:  hook.Timings{Total: 1500 * time.Microsecond, FirstByte: time.Millisecond},
	}
}

func (w *pipelineWorld) finish(t *testing.T, node hook.NodeID, fs ...*hook.Finish) []bool {
	t.Helper()
	held, err := w.Finish(w.ctx, node, fs)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func succeeded(j *hook.Job, a *hook.Attempt) *hook.Finish {
	return &hook.Finish{Job: j, Attempt: a, State: hook.StateSucceeded, Attempts: a.Number}
}

func (w *pipelineWorld) delivery(t *testing.T, id hook.ID) (hook.DeliveryView, []hook.Attempt) {
	t.Helper()
	d, attempts, err := w.Delivery(w.ctx, w.ws, id)
	if err != nil {
		t.Fatal(err)
	}
	return d, attempts
}
