package inbound

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/template"
)

// fakeTemplates evaluate with the real engine, but see little.
type fakeTemplates struct{}

func (fakeTemplates) values(s *Scene) *template.Array {
	headers := template.NewMap()
	for _, h := range s.Request.Headers {
		headers.Set(h.Name, h.Value)
	}
	request := template.NewMap().Set("rawBody", string(s.Request.Body.Bytes)).Set("headers", headers).Set("query", s.Request.RawQuery)
	v := template.NewMap().Set("request", request)
	if s.Item != nil {
		if item, err := template.DecodeJSON(s.Item); err == nil {
			v.Set("item", item)
		}
	}
	results := template.NewList()
	for _, r := range s.Results {
		results = template.NewList(template.NewMap().Set("action", r.Action).Set("body", r.Body))
	}
	return v.Set("results", results)
}

func (fakeTemplates) Hash(source, zone string, secrets []hook.NamedSecret, now time.Time) (string, error) {
	t, err := template.Compile(source)
	if err != nil {
		return "", err
	}
	s := template.NewMap()
	for _, x := range secrets {
		s.Set(x.Name, string(x.Value))
	}
	return t.Render(template.NewMap().Set("secrets", s), template.Options{Now: now, Zone: zone})
}

func (f fakeTemplates) Condition(expression string, s *Scene) (bool, error) {
	x, err := template.CompileExpression(expression)
	if err != nil {
		return false, err
	}
	return x.True(f.values(s), template.Options{Now: s.Now})
}

func (f fakeTemplates) Render(source string, s *Scene) (string, error) {
	t, err := template.Compile(source)
	if err != nil {
		return "", err
	}
	return t.Render(f.values(s), template.Options{Now: s.Now})
}

func (fakeTemplates) Schema([]byte) (func([]byte) error, error) {
	return func(doc []byte) error {
		if !bytes.Contains(doc, []byte(`"sku"`)) {
			return errors.New("sku is required")
		}
		return nil
	}, nil
}

func (fakeTemplates) Select(path string) (func([]byte) (string, bool), error) {
	return func(doc []byte) (string, bool) {
		var v map[string]string
		if json.Unmarshal(doc, &v) != nil {
			return "", false
		}
		s, ok := v[path]
		return s, ok
	}, nil
}

// world is doors with fakes around them.
type world struct {
	t    testing.TB
	d    *Doors
	ws   hook.ID
	stop func() // returns when all that is to be stored is

	mu         sync.Mutex
	ids        *hook.IDs
	doors      []*hook.IncomingWebhook
	actions    []*hook.Action
	version    int64
	cached     *hook.View // nil: as it is now
	admitted   []*hook.Admission
	pieces     []*hook.Admission
	piece      func(n int) // called when the nth was stored
	recorded   []*hook.Request
	admit      func(a *hook.Admission) (hook.ID, error)
	stored     map[hook.ID]*hook.Request
	expansions []*hook.Expansion
	advanced   []int
	left       int
	answered   map[hook.ID]int
	counted    []string
}

func start(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, ids: hook.NewIDs(), version: 1, stored: map[hook.ID]*hook.Request{}, answered: map[hook.ID]int{}}
	w.ws = w.ids.New()
	w.d = New(Config{Node: func() hook.NodeID { return 1 }, Origin: "https://hooks.example.com"}, w, w, w, fakeTemplates{}, w, w, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.d.Run(ctx)
	}()
	w.stop = func() {
		cancel()
		<-ended
	}
	t.Cleanup(w.stop)
	return w
}

func (w *world) door(change func(*hook.IncomingWebhook)) *hook.IncomingWebhook {
	x := &hook.IncomingWebhook{ID: w.ids.New(), Workspace: w.ws, Version: 1}
	x.Code, x.Name, x.Enabled, x.Parser = "erp-stock", "ERP Stock", true, hook.DefaultParser()
	x.HashTimezone, x.HashTolerance = "UTC", 30*time.Second
	x.Response.Mode = hook.ResponseNow
	if change != nil {
		change(x)
	}
	w.doors = append(w.doors, x)
	return x
}

func (w *world) action(code string) *hook.Action {
	a := &hook.Action{ID: w.ids.New(), Workspace: w.ws, Version: 1}
	a.Code, a.Type, a.Enabled, a.MaxAttempts = code, hook.ActionHTTPRequest, true, 3
	w.actions = append(w.actions, a)
	return a
}

func (w *world) view() *hook.View {
	return hook.NewView(hook.Snapshot{
		Workspace: hook.Workspace{ID: w.ws, Code: "default"}, Version: w.version, Incoming: w.doors, Actions: w.actions,
	})
}

func (w *world) WorkspaceID(_ context.Context, ref string) (hook.ID, string, error) {
	if ref != "default" {
		return hook.NoID, "", hook.NotFound("workspace", ref)
	}
	return w.ws, ref, nil
}

func (w *world) View(context.Context, hook.ID) (*hook.View, error) {
	if w.cached != nil {
		return w.cached, nil
	}
	return w.view(), nil
}
func (w *world) Current(context.Context, hook.ID) (*hook.View, error) { return w.view(), nil }

func (w *world) Admit(_ context.Context, _ *hook.View, a *hook.Admission) (hook.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.admit != nil {
		if first, err := w.admit(a); first != hook.NoID || err != nil {
			return first, err
		}
	}
	w.admitted = append(w.admitted, a)
	w.stored[a.Request.ID] = a.Request
	if a.Expand > 0 {
		w.expansions = append(w.expansions, &hook.Expansion{Request: a.Request.ID, Workspace: w.ws, Incoming: a.Door.ID, Total: a.Expand})
	}
	return hook.NoID, nil
}

func (w *world) AdmitPiece(_ context.Context, _ *hook.View, a *hook.Admission) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pieces = append(w.pieces, a)
	if w.piece != nil {
		w.piece(len(w.pieces))
	}
	return nil
}

func (w *world) Unwatch(*hook.Admission) {}

func (w *world) InsertRequests(_ context.Context, rs []*hook.Request) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recorded = append(w.recorded, rs...)
	for _, r := range rs {
		w.stored[r.ID] = r
	}
	return nil
}

func (w *world) RequestForRun(_ context.Context, _, id hook.ID) (*hook.Request, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.stored[id]; r != nil {
		return r, nil
	}
	return nil, hook.NotFound("request", id.String())
}

func (w *world) AnswerRequest(_ context.Context, _, id hook.ID, status int, _ time.Duration) error {
	w.answered[id] = status
	return nil
}

func (w *world) LoadIncoming(_ context.Context, _, id hook.ID) (*hook.IncomingWebhook, error) {
	return nil, hook.NotFound("incoming webhook", id.String())
}

func (w *world) TakeExpansion(context.Context, hook.NodeID) (*hook.Expansion, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.expansions) == 0 {
		return nil, nil
	}
	x := w.expansions[0]
	w.expansions = w.expansions[1:]
	return x, nil
}

func (w *world) AdvanceExpansion(_ context.Context, _ hook.NodeID, _ hook.ID, done int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.advanced = append(w.advanced, done)
	return nil
}

func (w *world) LeaveExpansion(context.Context, hook.NodeID, hook.ID, time.Duration, string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left++
	return nil
}

func (w *world) Remember(*hook.Request) {}

func (w *world) Called(hook.ID, hook.Verdict) {}

func (w *world) DoorCall(door string, v hook.Verdict, reason string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted = append(w.counted, door+" "+string(v)+" "+reason)
}

// refused waits for the record of a refused call.
func (w *world) refused(n int) (all []*hook.Request) {
	w.t.Helper()
	w.wait("the record of a refused call", func() bool {
		all = append([]*hook.Request(nil), w.recorded...)
		return len(all) >= n
	})
	return all
}

// wait returns as soon as what it waits for has come; the condition is asked under the lock.
func (w *world) wait(what string, condition func() bool) {
	w.t.Helper()
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(2 * time.Millisecond) {
		w.mu.Lock()
		done := condition()
		w.mu.Unlock()
		if done {
			return
		}
	}
	w.t.Fatalf("%s did not come within a minute", what)
}

type body struct {
	bytes []byte
	err   error
	reads int
}

func (b *body) Read(_ context.Context, limit int64, _ time.Duration) ([]byte, error) {
	b.reads++
	if b.err != nil {
		return nil, b.err
	}
	if int64(len(b.bytes)) > limit {
		return nil, hook.Errorf(hook.KindTooLarge, "the body may have at most %d bytes", limit)
	}
	return b.bytes, nil
}

func (b *body) Evidence(limit int64, _ time.Duration) ([]byte, bool) {
	return b.bytes[:min(int64(len(b.bytes)), limit)], int64(len(b.bytes)) <= limit
}

// call is one at /in/erp-stock.
func (w *world) call(change func(*hook.DoorCall)) (hook.DoorAnswer, *hook.DoorCall) {
	c := &hook.DoorCall{
		ID: w.ids.New(), Profile: hook.DoorDefault, Code: "erp-stock", Method: "POST", Path: "/in/erp-stock",
		Header: http.Header{"Content-Type": {"application/json"}}, Client: netip.MustParseAddr("203.0.113.9"), Peer: netip.MustParseAddr("10.0.0.2"),
		Body: &body{bytes: []byte(`{"sku":"A-1","qty":3}`)},
	}
	if change != nil {
		change(c)
	}
	c.URL = publicURL("https://hooks.example.com", c.Path, c.RawQuery)
	return w.d.Serve(context.Background(), c), c
}

// kind is how a call was refused, "" if it was not.
func kind(a hook.DoorAnswer) hook.Kind {
	if a.Problem == nil {
		return ""
	}
	return hook.KindOf(a.Problem)
}

func at(id *hook.DoorCall, when string) {
	t, err := time.Parse(time.RFC3339Nano, when)
	if err != nil {
		panic(err)
	}
	id.ID = hook.FirstID(t)
}

func checksOf(r *hook.Request) string {
	var b strings.Builder
	for _, c := range r.Checks {
		b.WriteString(c.Name + "=" + c.Result + " ")
	}
	return strings.TrimSpace(b.String())
}
