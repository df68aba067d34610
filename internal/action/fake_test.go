package action_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/send"
)

var ids = hook.NewIDs()

// world is what an executor meets in a test.
type world struct {
	workspace hook.ID
	actions   map[string]*hook.Action
	doors     map[hook.ID]*hook.IncomingWebhook
	requests  map[hook.ID]*hook.Request
	records   map[string]*hook.Record
	planErr   error
	planned   []plan
	reads     atomic.Int64 // of requests
	parses    atomic.Int64
	readErr   error
}

type plan struct {
	event  hook.NewEvent
	source hook.Source
	hops   int
}

func newWorld() *world {
	return &world{
		workspace: ids.New(), actions: map[string]*hook.Action{}, doors: map[hook.ID]*hook.IncomingWebhook{},
		requests: map[hook.ID]*hook.Request{}, records: map[string]*hook.Record{},
	}
}

func (w *world) Request(_ context.Context, _, id hook.ID) (*hook.Request, error) {
	w.reads.Add(1)
	if w.readErr != nil {
		return nil, w.readErr
	}
	return w.requests[id], nil
}

func (w *world) Body(_ hook.Parser, r *hook.Request) ([]byte, error) {
	w.parses.Add(1)
	return r.Body.Bytes, nil
}

func (w *world) Action(_ context.Context, _ hook.ID, code string) (*hook.Target, error) {
	if a := w.actions[code]; a != nil {
		return hook.TargetOfAction(a), nil
	}
	return nil, nil
}

func (w *world) Door(_ context.Context, _, id hook.ID) (*hook.IncomingWebhook, error) {
	return w.doors[id], nil
}

func (w *world) Plan(_ context.Context, workspace hook.ID, e hook.NewEvent, source hook.Source, hops int) (*hook.Effects, error) {
	if w.planErr != nil {
		return nil, w.planErr
	}
	w.planned = append(w.planned, plan{e, source, hops})
	key := ids.New()
	return &hook.Effects{Events: []*hook.PlannedEvent{{Event: hook.Event{
		Key: key, Workspace: workspace, ID: key.String(), Type: e.Type, EntityID: e.EntityID, Entity: e.Entity, Source: source, Hops: hops, Matched: 2,
	}}}}, nil
}

func (w *world) Record(_ context.Context, _ hook.ID, collection, key string) (*hook.Record, error) {
	return w.records[collection+"/"+key], nil
}

// exchanger sends through the real sender.
type exchanger struct{ s *send.Sender }

func (e exchanger) Exchange(ctx context.Context, r action.HTTPRequest) hook.Attempt {
	q := send.Request{Method: r.Method, URL: r.URL, Body: r.Body, SuccessCodes: r.SuccessCodes, Timeout: r.Timeout, Secrets: r.Secrets}
	for _, h := range r.Headers {
		q.Headers = append(q.Headers, send.Field(h))
	}
	return e.s.Exchange(ctx, q)
}

func (w *world) executor(t testing.TB, change ...func(*action.Config)) *action.Executor {
	t.Helper()
	guard, err := send.NewGuard([]string{"127.0.0.0/8", "::1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := send.New(send.Config{Guard: guard, IDs: ids, Node: "n1", UserAgent: "Sallyport/1.2.3"})
	t.Cleanup(s.Close)
	cfg := action.Config{
		Requests: w, Bodies: w, Catalog: w, Events: w, Records: w, HTTP: exchanger{s}, Stopping: send.ErrStopping,
	}
	for _, c := range change {
		c(&cfg)
	}
	return action.New(cfg)
}

func (w *world) add(code string, kind hook.ActionType, config string, change ...func(*hook.Action)) *hook.Action {
	a := &hook.Action{ID: ids.New(), Workspace: w.workspace, Version: 1, ActionSpec: hook.ActionSpec{
		Code: code, Name: code, Type: kind, Config: []byte(config), Enabled: true, MaxAttempts: 10, Timeout: time.Minute,
	}}
	for _, c := range change {
		c(a)
	}
	w.actions[code] = a
	return a
}

func condition(c string) func(*hook.Action) { return func(a *hook.Action) { a.Condition = c } }

func secrets(pairs ...string) func(*hook.Action) {
	return func(a *hook.Action) {
		for i := 0; i < len(pairs); i += 2 {
			a.Secrets = append(a.Secrets, hook.NamedSecret{Name: pairs[i], Value: hook.Sensitive(pairs[i+1])})
		}
	}
}

// job is a delivery of an item that came through a door.
func (w *world) job(item string, change ...func(*hook.Job)) *hook.Job {
	door := &hook.IncomingWebhook{ID: ids.New(), Workspace: w.workspace, Version: 1, IncomingSpec: hook.IncomingSpec{
		Code: "erp-stock", Name: "ERP Stock", Parser: hook.DefaultParser(), Enabled: true,
	}}
	w.doors[door.ID] = door
	r := &hook.Request{
		ID: ids.New(), Workspace: w.workspace, Incoming: door.ID, Code: "erp-stock", Method: "POST", Path: "/in/erp-stock",
		RawQuery: "hash=[redacted]&ref=7&tag[]=a&tag[]=b&x=a%20b", Body: hook.Body{Bytes: []byte(item), Size: int64(len(item))},
		Headers:       []hook.HeaderField{{Name: "X-GitHub-Event", Value: "push"}, {Name: "Authorization", Redacted: true}},
		ClientAddress: "203.0.113.9", Hidden: []hook.HiddenValue{{In: "query", Name: "hash", Value: "abc"}},
	}
	w.requests[r.ID] = r
	e := &hook.Event{
		Key: ids.New(), Workspace: w.workspace, ID: "ev-1", Type: "incoming.erp-stock", Entity: []byte(item),
		Timestamp: time.Date(2026, 11, 21, 20, 56, 0, 0, time.UTC),
		Source:    hook.Source{Kind: hook.SourceIncoming, ID: door.ID, RequestID: r.ID},
	}
	j := &hook.Job{Event: e, Delivery: hook.Delivery{ID: ids.New(), Workspace: w.workspace, TargetKind: hook.TargetAction}}
	for _, c := range change {
		c(j)
	}
	return j
}

func step(n int) func(*hook.Job) { return func(j *hook.Job) { j.Delivery.Step = n } }

func hops(n int) func(*hook.Job) { return func(j *hook.Job) { j.Event.Hops = n } }

func run(t testing.TB, x *action.Executor, a *hook.Action, j *hook.Job) hook.Attempt {
	t.Helper()
	j.Delivery.Target = a.ID
	return x.Send(t.Context(), hook.TargetOfAction(a), j, 1)
}

func body(r *hook.SentRequest) string {
	if r == nil {
		return ""
	}
	return string(r.Body.Bytes)
}

func answer(r *hook.ReceivedResponse) string {
	if r == nil {
		return ""
	}
	return string(r.Body.Bytes)
}

func wantJSON(t testing.TB, got []byte, field string, want any) {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(got, &m); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if m[field] != want {
		t.Errorf("%s of %s is %v, want %v", field, got, m[field], want)
	}
}
