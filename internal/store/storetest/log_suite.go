package storetest

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// Log runs the suite of the log of accepted events.
func Log(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, *logWorld){
		"events are read once each, whatever the pages":     logPages,
		"large entities make short pages":                   logLarge,
		"types that are not wanted are passed over":         logTypes,
		"a rerun is logged once":                            logRerun,
		"a repeated id is not logged":                       logRepeat,
		"what actions do is logged":                         logEffects,
		"retention ends the log, and who is behind is told": logRetention,
		"a position that never was is refused":              logUnknown,
		"a time finds its place":                            logSince,
		"workspaces have logs of their own":                 logWorkspaces,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &logWorld{newPipelineWorld(t, open(t))})
		})
	}
}

type logWorld struct{ *pipelineWorld }

// many plans events in the order of their keys.
func (w *logWorld) many(n int) []*hook.PlannedEvent {
	events := make([]*hook.PlannedEvent, n)
	for i := range events {
		events[i] = w.event(false)
	}
	return events
}

func keysOf(events []*hook.PlannedEvent) []hook.ID {
	var keys []hook.ID
	for _, e := range events {
		keys = append(keys, e.Event.Key)
	}
	return keys
}

func anyType(string) bool { return true }

// last is how far the log goes; nobody else writes.
func (w *logWorld) last(t *testing.T) int64 {
	t.Helper()
	heads, err := w.LogHeads(w.ctx, []hook.ID{w.ws})
	if err != nil || len(heads.Writers) > 0 {
		t.Fatalf("heads %+v, %v", heads, err)
	}
	return heads.Last[w.ws]
}

// read goes through the log from a position.
func (w *logWorld) read(t *testing.T, from hook.Position, limit int, want func(string) bool) (keys []hook.ID, end hook.Position) {
	t.Helper()
	for last := w.last(t); ; {
		page, err := w.LogPage(w.ctx, w.ws, from, last, limit, 1<<20, want)
		if err != nil {
			t.Fatal(err)
		}
		if page.Read == 0 {
			return keys, from
		}
		if !from.Before(page.Next) {
			t.Fatalf("from %+v on to %+v", from, page.Next)
		}
		for _, e := range page.Events {
			keys = append(keys, e.Key)
		}
		from = page.Next
	}
}

func logPages(t *testing.T, w *logWorld) {
	late := w.event(false) // its key is older than those of what is committed before it
	var want []hook.ID
	for _, n := range []int{1, 150, 3} {
		events := w.many(n)
		w.accept(t, events...)
		want = append(want, keysOf(events)...)
	}
	w.accept(t, late)
	want = append(want, late.Event.Key)
	for _, limit := range []int{1, 2, 100, 500} {
		keys, end := w.read(t, hook.Position{}, limit, anyType)
		if !slices.Equal(keys, want) {
			t.Fatalf("in pages of %d came %d events, want %d in the order of their commits", limit, len(keys), len(want))
		}
		if got, err := w.LogEnd(w.ctx, w.ws, w.last(t)); err != nil || got != end {
			t.Errorf("the end is %+v, %v; want %+v", got, err, end)
		}
		if err := w.CheckPosition(w.ctx, w.ws, end); err != nil {
			t.Error(err)
		}
	}
	// From the middle of a row.
	page, err := w.LogPage(w.ctx, w.ws, hook.Position{}, w.last(t), 77, 1<<20, anyType)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.CheckPosition(w.ctx, w.ws, page.Next); err != nil {
		t.Error(err)
	}
	if keys, _ := w.read(t, page.Next, 10, anyType); !slices.Equal(keys, want[77:]) {
		t.Errorf("%d events behind the 77th", len(keys))
	}
	e := page.Events[0]
	if e.ID != want[0].String() || string(e.Entity) != "{\"a\":1.10,\"a\":\"<\\u0000\", \"n\":12345678901234567890}" || e.EntityID.Text != "12345678901234567890" {
		t.Errorf("the first is %+v", e.Event)
	}
	if d := time.Since(e.Logged); d < -time.Minute || d > time.Minute || e.Logged.Before(e.AcceptedAt().Add(-time.Second)) {
		t.Errorf("logged at %s, accepted at %s", e.Logged, e.AcceptedAt())
	}
}

func logLarge(t *testing.T, w *logWorld) {
	events := w.many(4)
	for i, size := range []int{600, 600, 5000, 10} {
		events[i].Event.Entity = []byte(`"` + strings.Repeat("x", size-2) + `"`)
	}
	w.accept(t, events...)
	var from hook.Position
	for i, want := range []int{1, 1, 1, 1} {
		page, err := w.LogPage(w.ctx, w.ws, from, w.last(t), 10, 1000, anyType)
		if err != nil || len(page.Events) != want || !bytes.Equal(page.Events[0].Entity, events[i].Event.Entity) {
			t.Fatalf("page %d: %d events, %v", i, len(page.Events), err)
		}
		from = page.Next
	}
	if page, err := w.LogPage(w.ctx, w.ws, hook.Position{}, w.last(t), 10, 1200, anyType); err != nil || len(page.Events) != 2 || page.Read != 2 {
		t.Errorf("%d events, %v; want the two that fit", len(page.Events), err)
	}
}

func logTypes(t *testing.T, w *logWorld) {
	events := w.many(6)
	for i := range events {
		if i%2 == 0 {
			events[i].Event.Type = "other"
		}
	}
	w.accept(t, events...)
	keys, end := w.read(t, hook.Position{}, 2, func(typ string) bool { return typ != "other" })
	if want := keysOf(events); !slices.Equal(keys, []hook.ID{want[1], want[3], want[5]}) {
		t.Errorf("got %d", len(keys))
	}
	if none, at := w.read(t, hook.Position{}, 2, func(string) bool { return false }); len(none) > 0 || at != end {
		t.Errorf("the position is %+v after events that nobody wants, want %+v", at, end)
	}
}

func logRerun(t *testing.T, w *logWorld) {
	a, b := keyed(w.event(true, w.ids.New()), "a"), w.event(true, w.ids.New())
	w.accept(t, a)
	batch := w.batch(a, b)
	for range 2 {
		batch.Rerun = true
		if _, err := w.Accept(w.ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
	if keys, _ := w.read(t, hook.Position{}, 10, anyType); !slices.Equal(keys, []hook.ID{a.Event.Key, b.Event.Key}) {
		t.Errorf("logged %v", keys)
	}
}

func logRepeat(t *testing.T, w *logWorld) {
	a, b := keyed(w.event(false), "a"), keyed(w.event(false), "a")
	w.accept(t, a)
	w.accept(t, b)
	if keys, _ := w.read(t, hook.Position{}, 10, anyType); !slices.Equal(keys, []hook.ID{a.Event.Key}) {
		t.Errorf("logged %v", keys)
	}
}

func logEffects(t *testing.T, w *logWorld) {
	e := &effectsWorld{w.pipelineWorld}
	j := e.running(t)
	made, applied := e.effects(nil), e.effects(nil, change("a", 0, "1"))
	e.fates(t, []hook.Effect{hook.EffectDone}, e.acting(j, made))
	if fate, err := w.ApplyEffects(w.ctx, applied); err != nil || fate != hook.EffectDone {
		t.Fatal(fate, err)
	}
	want := []hook.ID{j.Event.Key, made.Events[0].Event.Key, applied.Events[0].Event.Key}
	if keys, _ := w.read(t, hook.Position{}, 10, anyType); !slices.Equal(keys, want) {
		t.Errorf("logged %v, want %v", keys, want)
	}
	select {
	case <-w.Logged():
	default:
		t.Error("nobody was told")
	}
}

func logRetention(t *testing.T, w *logWorld) {
	w.accept(t, w.many(3)...)
	first, err := w.LogPage(w.ctx, w.ws, hook.Position{}, w.last(t), 2, 1<<20, anyType)
	if err != nil {
		t.Fatal(err)
	}
	_, end := w.read(t, hook.Position{}, 10, anyType)
	// As soon as it is a millisecond old.
	for {
		if _, err := w.Purge(w.ctx, time.Millisecond); err != nil {
			t.Fatal(err)
		}
		page, err := w.LogPage(w.ctx, w.ws, hook.Position{}, w.last(t), 10, 1<<20, anyType)
		if hook.KindOf(err) == hook.KindCursorExpired {
			break
		}
		if err != nil || page.Read != 3 {
			t.Fatalf("%+v, %v", page, err)
		}
	}
	for name, p := range map[string]hook.Position{"the beginning": {}, "within the row": first.Next} {
		if err := w.CheckPosition(w.ctx, w.ws, p); hook.KindOf(err) != hook.KindCursorExpired {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.CheckPosition(w.ctx, w.ws, end); err != nil {
		t.Errorf("whoever has read all of it lost nothing: %v", err)
	}
	if at, err := w.LogEnd(w.ctx, w.ws, w.last(t)); err != nil || at != end {
		t.Errorf("the end is %+v, %v; want %+v", at, err, end)
	}
	next := w.event(false)
	w.accept(t, next)
	if keys, _ := w.read(t, end, 10, anyType); !slices.Equal(keys, []hook.ID{next.Event.Key}) {
		t.Errorf("after it came %v", keys)
	}
	if at, err := w.LogStart(w.ctx, w.ws, time.Now().Add(-time.Hour), w.last(t)); err != nil || at != end {
		t.Errorf("an hour ago is %+v, %v; want the oldest that is kept", at, err)
	}
}

func logUnknown(t *testing.T, w *logWorld) {
	w.accept(t, w.many(2)...)
	_, end := w.read(t, hook.Position{}, 10, anyType)
	for name, p := range map[string]hook.Position{
		"another event":   {Seq: end.Seq, Index: end.Index, Key: w.ids.New()},
		"another number":  {Seq: end.Seq, Index: 1, Key: end.Key},
		"beyond the row":  {Seq: end.Seq, Index: 3, Key: end.Key},
		"beyond the log":  {Seq: end.Seq + 1, Index: 1, Key: end.Key},
		"far beyond them": {Seq: 1<<63 - 1, Index: 1<<31 - 1, Key: end.Key},
	} {
		if err := w.CheckPosition(w.ctx, w.ws, p); hook.KindOf(err) != hook.KindInvalidCursor {
			t.Errorf("%s: %v", name, err)
		}
		// As for a follower whose place a failover has given to another event.
		if page, err := w.LogPage(w.ctx, w.ws, p, max(p.Seq, w.last(t)), 10, 1<<20, anyType); hook.KindOf(err) != hook.KindInvalidCursor {
			t.Errorf("reading on from %s: %+v, %v", name, page, err)
		}
	}
}

func logSince(t *testing.T, w *logWorld) {
	if at, err := w.LogStart(w.ctx, w.ws, time.Now(), w.last(t)); err != nil || at != (hook.Position{}) {
		t.Errorf("an empty log begins at %+v, %v", at, err)
	}
	for range 5 {
		w.accept(t, w.many(2)...)
	}
	_, end := w.read(t, hook.Position{}, 10, anyType)
	for name, c := range map[string]struct {
		since time.Time
		want  hook.Position
	}{
		"before all":          {time.Now().Add(-time.Hour), hook.Position{}},
		"within the last":     {time.Now(), hook.Position{}}, // a minute's grace
		"after all of them":   {time.Now().Add(time.Hour), end},
		"far before 1970":     {time.Time{}, hook.Position{}},
		"the end of all time": {time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), end},
	} {
		if at, err := w.LogStart(w.ctx, w.ws, c.since, w.last(t)); err != nil || at != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, at, err, c.want)
		}
	}
}

func logWorkspaces(t *testing.T, w *logWorld) {
	other := w.ids.New()
	mine, theirs := w.event(false), w.event(false)
	theirs.Event.Workspace = other
	w.accept(t, theirs, mine, w.event(false))
	heads, err := w.LogHeads(w.ctx, []hook.ID{w.ws, other, w.ids.New()})
	if err != nil || len(heads.Last) != 3 || heads.Last[other] == heads.Last[w.ws] {
		t.Fatalf("%+v, %v", heads, err)
	}
	page, err := w.LogPage(w.ctx, other, hook.Position{}, 1<<40, 10, 1<<20, anyType)
	if err != nil || len(page.Events) != 1 || page.Events[0].Key != theirs.Event.Key {
		t.Errorf("%+v, %v", page, err)
	}
	if keys, _ := w.read(t, hook.Position{}, 10, anyType); len(keys) != 2 || keys[0] != mine.Event.Key {
		t.Errorf("%v", keys)
	}
	if err := w.CheckPosition(w.ctx, w.ws, page.Next); hook.KindOf(err) != hook.KindInvalidCursor {
		t.Errorf("a position of another workspace: %v", err)
	}
}
