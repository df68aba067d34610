package publish

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"sallyport/internal/hook"
)

// fakeConditions knows yes, no, error and id=...; it counts what it evaluates.
type fakeConditions struct{ about, evaluated int }

func (c *fakeConditions) About(e *hook.Event) func(string) (bool, error) {
	c.about++
	return func(expression string) (bool, error) {
		c.evaluated++
		if id, ok := strings.CutPrefix(expression, "id="); ok {
			return e.ID == id || id == "any" && hook.IsID(e.ID), nil
		}
		if expression == "error" {
			return false, errors.New("it cannot be evaluated")
		}
		return expression == "yes", nil
	}
}

// filtering is a workspace with webhooks of these filters.
func filtering(b *bench, version int64, filters ...string) {
	types := make([]string, len(filters))
	for i := range types {
		types[i] = "thing"
	}
	v := b.view(b.workspace, version, types...)
	for i, w := range v.Webhooks {
		w.Filter = filters[i]
	}
	b.catalog.copied[b.workspace] = hook.NewView(v.Snapshot)
}

func TestFiltersDecideWhoGetsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conditions := &fakeConditions{}
		b := start(t, func(c *Config) { c.Conditions = conditions })
		filtering(b, 1, "yes", "", "no", "error", "yes", "id=mine")
		events := things(2)
		events[1].ID = "mine"
		got, err := b.publish(events)
		if err != nil || got[0].Matched != 4 || got[1].Matched != 5 {
			t.Fatalf("answered %+v, %v", got, err)
		}
		synctest.Wait()
		e := b.store.batches[0].Events[0]
		if len(e.Deliveries) != 4 || e.Event.Matched != 4 {
			t.Fatalf("%d deliveries of %d", len(e.Deliveries), e.Event.Matched)
		}
		for i, d := range e.Deliveries {
			if failed := i == 2; (d.Skipped == hook.ReasonConditionError) != failed || failed && d.Born {
				t.Errorf("delivery %d = %+v", i, d)
			}
		}
		if n := len(b.dispatch.handed); n != 7 {
			t.Errorf("%d handed over, want all but the skipped ones", n)
		}
		if conditions.about != 2 || conditions.evaluated != 8 {
			t.Errorf("%d events read and %d filters evaluated: each is to be once", conditions.about, conditions.evaluated)
		}
	})
}

// A filter may look at an id that the event is only given by us.
func TestFiltersSeeTheIdThatIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) { c.Conditions = &fakeConditions{} })
		filtering(b, 1, "id=any")
		got, err := b.publish(things(1))
		if err != nil || got[0].Matched != 1 {
			t.Fatalf("answered %+v, %v", got, err)
		}
		if e := b.store.batches[0].Events[0].Event; got[0].ID != e.ID || e.ID != e.Key.String() {
			t.Errorf("answered %s, stored %s as %s", got[0].ID, e.ID, e.Key)
		}
	})
}

// A filter that was changed meanwhile counts as it is when the event is stored.
func TestChangedFilterCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(c *Config) { c.Conditions = &fakeConditions{} })
		filtering(b, 1, "yes")
		b.store.accept = func(n int, batch *hook.AcceptBatch) (hook.AcceptResult, error) {
			if n > 1 {
				return hook.AcceptResult{}, nil
			}
			fresh := b.catalog.copied[b.workspace]
			changed := *fresh.Webhooks[0]
			changed.Filter = "no"
			b.catalog.stored[b.workspace] = hook.NewView(hook.Snapshot{Workspace: fresh.Workspace, Version: 2, Types: fresh.Types, Webhooks: []*hook.Webhook{&changed}})
			return hook.AcceptResult{Stale: []hook.ID{b.workspace}}, nil
		}
		got, err := b.publish(things(1))
		if err != nil || got[0].Matched != 0 {
			t.Errorf("answered %+v, %v", got, err)
		}
	})
}

func TestWithoutFiltersNothingIsEvaluated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conditions := &fakeConditions{}
		b := start(t, func(c *Config) { c.Conditions = conditions })
		if _, err := b.publish(things(3)); err != nil {
			t.Fatal(err)
		}
		it := &item{event: things(1)[0]}
		targets := b.catalog.copied[b.workspace].Match("thing")
		if n := testing.AllocsPerRun(100, func() { b.p.passing(targets, it, &hook.Event{}) }); n > 0 || conditions.about > 0 {
			t.Errorf("%v allocations, %d events read", n, conditions.about)
		}
	})
}
