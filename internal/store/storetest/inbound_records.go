package storetest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// change applies a change and says whether it was fresh.
func (w *inboundWorld) change(collection, key string, expect int64, document string, at time.Time) bool {
	w.t.Helper()
	c := &hook.RecordChange{Workspace: w.ws, Collection: collection, Key: key, Expect: expect}
	if r, err := w.Record(w.t.Context(), w.ws, collection, key); err != nil {
		w.t.Fatal(err)
	} else if r != nil && expect > 0 {
		c.Made = r.CreatedAt
	}
	if document != "" {
		c.Document = []byte(document)
	}
	fresh, err := w.ApplyRecord(w.t.Context(), w.Store, c, at)
	if err != nil {
		w.t.Fatalf("%+v: %v", c, err)
	}
	return fresh
}

func recordsRead(t *testing.T, w *inboundWorld) {
	ctx := t.Context()
	var keys []string
	for i := range 12 {
		keys = append(keys, fmt.Sprintf("a/%02d", i))
	}
	keys = append(keys, "B", "a", "a0", "b", "ä", "\uD7FFx", "\uE000", "\U0010FFFF", "\U0010FFFFz")
	for _, k := range keys {
		if !w.change("stock", k, 0, `{"key":"`+k+`"}`, w.now) {
			t.Fatalf("%q was not made", k)
		}
	}
	w.change("orders", "1", 0, `{}`, w.now)
	main := w.ws
	w.ws = w.workspace("other", 0)
	w.change("stock", "a/00", 0, `{"other":true}`, w.now)
	w.ws = main
	slices.Sort(keys)
	for _, prefix := range []string{"", "a", "a/", "a/0", "none", "ä", "\uD7FF", "\uE000", "\U0010FFFF", "b\U0010FFFF", "a\x00", "\xff"} {
		var want []string
		for _, k := range keys {
			if strings.HasPrefix(k, prefix) {
				want = append(want, k)
			}
		}
		for _, asc := range []bool{true, false} {
			if !asc {
				slices.Reverse(want)
			}
			var got []string
			for after, more := "", true; more; {
				var rows []*hook.Record
				var err error
				if rows, more, err = w.Records(ctx, w.ws, "stock", prefix, after, 4, asc); err != nil {
					t.Fatal(err)
				}
				if more && len(rows) != 4 {
					t.Fatalf("a page of %d with more to come", len(rows))
				}
				for _, r := range rows {
					if string(r.Document) != `{"key":"`+r.Key+`"}` {
						t.Errorf("record %q = %s", r.Key, r.Document)
					}
					got, after = append(got, r.Key), r.Key
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("keys with %q, upwards %v = %q, want %q", prefix, asc, got, want)
			}
		}
	}
	collections, err := w.Collections(ctx, w.ws)
	if want := []hook.Collection{{Name: "orders", Records: 1}, {Name: "stock", Records: len(keys)}}; err != nil || !slices.Equal(collections, want) {
		t.Errorf("collections = %v, %v; want %v", collections, err, want)
	}
	for _, key := range []string{"2", "1\x00", "\xff"} {
		if r, err := w.Record(ctx, w.ws, "orders", key); r != nil || err != nil {
			t.Errorf("a record that is not there = %v, %v", r, err)
		}
	}
}

func recordsChanged(t *testing.T, w *inboundWorld) {
	later := w.now.Add(time.Minute)
	for i, step := range []struct {
		expect   int64
		document string
		fresh    bool
		after    string
		version  int64
	}{
		{0, "", true, "", 0}, // it is not there, and stays so
		{1, "", false, "", 0},
		{1, `{"a":1}`, false, "", 0},
		{0, `{"a":1}`, true, `{"a":1}`, 1},
		{0, `{"a":2}`, false, `{"a":1}`, 1},
		{0, "", false, `{"a":1}`, 1},
		{2, `{"a":2}`, false, `{"a":1}`, 1},
		{1, `{"a":2}`, true, `{"a":2}`, 2},
		{1, `{"a":3}`, false, `{"a":2}`, 2},
		{1, "", false, `{"a":2}`, 2},
		{2, "", true, "", 0},
		{2, "", false, "", 0},
	} {
		if fresh := w.change("c", "k", step.expect, step.document, later); fresh != step.fresh {
			t.Errorf("step %d was fresh: %v, want %v", i, fresh, step.fresh)
		}
		r, err := w.Record(t.Context(), w.ws, "c", "k")
		if err != nil || (r != nil) != (step.after != "") {
			t.Fatalf("after step %d: %+v, %v; want %s", i, r, err, step.after)
		}
		if r != nil && (string(r.Document) != step.after || r.Version != step.version || !r.UpdatedAt.Equal(later) || r.Workspace != w.ws || r.Collection != "c" || r.Key != "k") {
			t.Errorf("after step %d: %+v; want %s, version %d", i, r, step.after, step.version)
		}
	}
	w.change("c", "k", 0, `1`, w.now)
	w.change("c", "k", 1, `2`, later)
	if r, err := w.Record(t.Context(), w.ws, "c", "k"); err != nil || !r.CreatedAt.Equal(w.now) || !r.UpdatedAt.Equal(later) {
		t.Errorf("record = %+v, %v", r, err)
	}
}

// A key that was deleted and made anew is another record, though its versions begin again.
func recordsMadeAnew(t *testing.T, w *inboundWorld) {
	ctx, later := t.Context(), w.now.Add(time.Microsecond)
	w.change("c", "k", 0, `{"old":true}`, w.now)
	old, err := w.Record(ctx, w.ws, "c", "k")
	if err != nil {
		t.Fatal(err)
	}
	w.change("c", "k", 1, "", w.now)
	w.change("c", "k", 0, `{"new":true}`, later)
	for _, document := range []string{`{"old":true,"merged":1}`, ""} {
		c := &hook.RecordChange{Workspace: w.ws, Collection: "c", Key: "k", Expect: old.Version, Made: old.CreatedAt}
		if document != "" {
			c.Document = []byte(document)
		}
		if fresh, err := w.ApplyRecord(ctx, w.Store, c, later); err != nil || fresh {
			t.Errorf("what was made of the record before (%q) counts: %v, %v", document, fresh, err)
		}
	}
	if r, err := w.Record(ctx, w.ws, "c", "k"); err != nil || r == nil || string(r.Document) != `{"new":true}` {
		t.Errorf("record = %+v, %v", r, err)
	}
}

func recordRaces(t *testing.T, w *inboundWorld) {
	const many = 8
	for version := range int64(5) { // made, then changed four times
		var wins [many]bool
		var errs [many]error
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() {
				c := &hook.RecordChange{Workspace: w.ws, Collection: "c", Key: "k", Expect: version, Made: w.now, Document: fmt.Append(nil, i)}
				wins[i], errs[i] = w.ApplyRecord(t.Context(), w.Store, c, w.now)
			})
		}
		wg.Wait()
		won := -1
		for i := range many {
			if errs[i] != nil {
				t.Errorf("version %d: %v", version, errs[i])
			}
			if wins[i] && won >= 0 {
				t.Errorf("version %d: both %d and %d won", version, won, i)
			}
			if wins[i] {
				won = i
			}
		}
		if r, err := w.Record(t.Context(), w.ws, "c", "k"); err != nil || r == nil || r.Version != version+1 || string(r.Document) != fmt.Sprint(won) {
			t.Errorf("version %d: record = %+v, %v; %d won", version, r, err, won)
		}
	}
}
