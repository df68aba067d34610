package publish

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"sallyport/internal/hook"
)

// The catalogue is written and read once for all new types of a call, and stays as it is when
// it is full.
func TestNewTypesAreAddedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		open := func(version int64, types ...string) *hook.View {
			v := b.view(b.workspace, version, types...)
			v.Workspace.Strict = false
			return v
		}
		b.catalog.copied[b.workspace] = open(1, "thing")
		b.catalog.stored[b.workspace] = open(2, "thing", "new", "newer")
		var events []hook.NewEvent
		for _, typ := range []string{"thing", "new", "newer", "new", "thing", "newer"} {
			events = append(events, hook.NewEvent{Type: typ})
		}
		for range 2 {
			receipts, err := b.publish(events)
			for i, r := range receipts {
				if r.Problem != nil || r.Matched != 1 {
					t.Errorf("event %d: matched %d, %v", i, r.Matched, r.Problem)
				}
			}
			if err != nil || len(b.store.added) != 1 || len(b.store.added[0]) != 2 {
				t.Fatalf("added %q, %v; want two at once", b.store.added, err)
			}
		}

		full := make([]string, maxTypes-1)
		for i := range full {
			full[i] = "order." + strconv.Itoa(i)
		}
		b.catalog.copied[b.workspace] = open(3, full...)
		b.catalog.stored[b.workspace] = open(4, slices.Concat(full, []string{"the.last"})...)
		receipts, err := b.publish([]hook.NewEvent{{Type: "the.last"}, {Type: "one.more"}})
		if err != nil || receipts[0].Problem != nil || receipts[1].Problem != nil {
			t.Errorf("with a full catalogue: %+v, %v", receipts, err)
		}
		if n := len(b.store.added); n != 2 || len(b.store.added[1]) != 1 || b.store.added[1][0] != "the.last" {
			t.Errorf("a full catalogue got %q", b.store.added[1:])
		}
	})
}
