package inbound

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// A call that is judged anew counts once against its door's limit.
func TestRateLimitCountsACallOnce(t *testing.T) {
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) { x.RateLimit = &hook.RateLimit{Requests: 1, Per: time.Minute} })
	n := 0
	w.admit = func(*hook.Admission) (hook.ID, error) {
		if n++; n < 3 {
			return hook.NoID, hook.ErrChanged
		}
		return hook.NoID, nil
	}
	if answer, _ := w.call(nil); answer.Problem != nil {
		t.Errorf("the first call was refused: %v", answer.Problem)
	}
	if answer, _ := w.call(nil); kind(answer) != hook.KindRateLimited {
		t.Errorf("the second was answered %q", kind(answer))
	}
}

// A route whose condition is broken does not stop another to the same action.
func TestBrokenRouteBesideAnotherToTheSameAction(t *testing.T) {
	w := start(t)
	w.action("a")
	w.door(func(x *hook.IncomingWebhook) {
		x.Routes = []hook.Route{{Name: "broken", Action: "a", Condition: "item.sku|nosuch"}, {Name: "always", Action: "a"}}
	})
	w.call(nil)
	if r := w.admitted[0].Events[0].Routed; len(r) != 1 || r[0].Skipped != hook.ReasonNone {
		t.Errorf("routed %+v, want the action once, to be run", r)
	}
}

// What waits to be recorded holds no more memory than is going to be recorded.
func TestRefusalsKeepNoLargeBodies(t *testing.T) {
	w := start(t)
	w.door(func(x *hook.IncomingWebhook) { x.Hash, x.MaxBodyBytes = "s3cr3t", 25<<20 })
	w.call(func(c *hook.DoorCall) { c.Body = &body{bytes: make([]byte, 20<<20)} })
	if r := w.refused(1)[0]; !r.Body.Truncated || len(r.Body.Bytes) != evidenceBytes || cap(r.Body.Bytes) > 2*evidenceBytes {
		t.Errorf("%d bytes of a body are recorded, which hold %d", len(r.Body.Bytes), cap(r.Body.Bytes))
	}
	q := newRefusals(w, w.d.log)
	for range 2 * maxQueuedBytes / evidenceBytes {
		q.put(&hook.Request{Body: hook.Body{Bytes: make([]byte, evidenceBytes)}})
	}
	if n := len(q.queue); n != maxQueuedBytes/evidenceBytes {
		t.Errorf("%d of them are queued", n)
	}
	for range maxQueued {
		q.take()
	}
	if q.bytes != 0 {
		t.Errorf("%d bytes are said to be in an empty queue", q.bytes)
	}
}

// Of a call of an unknown code there is neither body nor headers: it is not run as if it
// had had none.
func TestUnknownCallsAreNotReleased(t *testing.T) {
	w := start(t)
	w.action("a")
	_, call := w.call(nil)
	w.refused(1)
	w.door(func(x *hook.IncomingWebhook) { x.Routes = []hook.Route{{Name: "primary", Action: "a"}} })
	who := hook.Principal{Workspace: w.ws}
	if _, err := w.d.Replay(context.Background(), who, call.ID, w.ids.New()); hook.KindOf(err) != hook.KindInvalidState || len(w.admitted) != 0 {
		t.Errorf("released: %v, %d admitted", err, len(w.admitted))
	}
	if _, _, _, err := w.d.Verify(context.Background(), who, call.ID); hook.KindOf(err) != hook.KindInvalidState {
		t.Errorf("verified: %v", err)
	}
}

// A check and the templates look at the same: a parameter that is also there as a list, in
// PHP's spelling, is there more than once.
func TestParameterThatIsAlsoAList(t *testing.T) {
	safe := "safe"
	for query, want := range map[string]hook.Kind{
		"mode=safe": "", "mode=safe&mode%5B%5D=evil": hook.KindPreProcessor, "mode[0]=evil&mode=safe": hook.KindPreProcessor,
		"mode=safe&mode=safe": hook.KindPreProcessor, "modes[]=x&mode=safe": "",
	} {
		w := start(t)
		w.door(func(x *hook.IncomingWebhook) {
			x.PreProcessors = []hook.PreProcessor{{Name: "mode", Type: "query", Parameter: "mode", Equals: &safe}}
		})
		if answer, _ := w.call(func(c *hook.DoorCall) { c.RawQuery = query }); kind(answer) != want {
			t.Errorf("%s was answered %q, want %q", query, kind(answer), want)
		}
	}
}

// Checks look at the body as the door's own parser reads it, whatever those of routes do.
func TestChecksUseTheDoorsParser(t *testing.T) {
	w := start(t)
	w.action("a")
	text := hook.DefaultParser()
	text.Type = hook.ParserText
	sku := "A-1"
	w.door(func(x *hook.IncomingWebhook) {
		x.PreProcessors = []hook.PreProcessor{{Name: "sku", Type: "body", Path: "sku", Equals: &sku}}
		x.Routes = []hook.Route{{Name: "primary", Action: "a", Parser: &text}}
	})
	answer, _ := w.call(func(c *hook.DoorCall) { c.Body = &body{bytes: []byte(`{"sku":"A-1"}`)} })
	if answer.Status != http.StatusAccepted {
		t.Fatalf("refused: %v", answer.Problem)
	}
	if e := w.admitted[0].Events[0].Entity; !bytes.HasPrefix(e, []byte(`"`)) {
		t.Errorf("the route's item is %s", e)
	}
}
