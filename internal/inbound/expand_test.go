package inbound

import (
	"fmt"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

// listOf is a JSON list of so many items.
func listOf(n int) *body {
	return &body{bytes: []byte("[1" + strings.Repeat(",1", n-1) + "]")}
}

// expanded waits until so many items of the one large request are done.
func (w *world) expanded(n int) {
	w.t.Helper()
	w.wait(fmt.Sprintf("the %dth item", n), func() bool { return len(w.advanced) > 0 && w.advanced[len(w.advanced)-1] == n })
}

// A door whose configuration makes fewer items of a large request than it was accepted with
// must not end the node: what is left are no items any more.
func TestFewerItemsThanCounted(t *testing.T) {
	w := start(t)
	w.action("a")
	w.door(func(x *hook.IncomingWebhook) { x.Routes = []hook.Route{{Name: "primary", Action: "a"}} })
	w.piece = func(n int) {
		if n == 1 {
			changed := *w.doors[0]
			changed.Version, changed.Parser.Split = 2, false
			w.doors, w.version = []*hook.IncomingWebhook{&changed}, 2
		}
	}
	w.call(func(c *hook.DoorCall) { c.Body = listOf(1200) })
	w.expanded(1200)
	if first := w.pieces[0]; len(first.Events) != 500 {
		t.Errorf("%d events of the first piece", len(first.Events))
	}
}

// An item keeps its index, and so its event's key, whatever becomes of the items before it:
// a piece that is stored again after a route was changed makes nothing twice and leaves
// nothing out.
func TestItemsKeepTheirIndexes(t *testing.T) {
	w := start(t)
	w.action("a")
	w.action("b")
	own := hook.DefaultParser()
	own.MaxItems = 9
	w.door(func(x *hook.IncomingWebhook) {
		x.Routes = []hook.Route{{Name: "primary", Action: "a"}, {Name: "odd", Action: "b", Parser: &own, Condition: "item == 2"}}
	})
	w.call(func(c *hook.DoorCall) { c.Body = &body{bytes: []byte(`[1,1,2]`)} })
	var got []int
	for _, e := range w.admitted[0].Events {
		got = append(got, e.Index)
	}
	if len(got) != 4 || got[3] != 5 {
		t.Errorf("indexes %v, want 0 to 2 and 5", got)
	}
}

// A panic over one large request does not end the node, and the next one is worked on.
func TestPanicOverALargeRequest(t *testing.T) {
	w := start(t)
	w.action("a")
	w.door(func(x *hook.IncomingWebhook) { x.Routes = []hook.Route{{Name: "primary", Action: "a"}} })
	w.piece = func(n int) {
		if n == 1 {
			panic("as if by a library")
		}
	}
	for range 2 {
		w.call(func(c *hook.DoorCall) { c.Body = listOf(600) })
	}
	w.d.kickExpansion()
	w.expanded(600)
}
