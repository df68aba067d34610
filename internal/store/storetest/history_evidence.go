package storetest

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// evidenceWhole finishes deliveries and reads what was kept of them.
func evidenceWhole(t *testing.T, w *World) {
	entity := []byte(`{"a":1,"a":1.10,"b":"<\u0000"}`)
	target := w.webhook("active")
	at := w.now.Add(-time.Second)
	key := w.event(at, "ord", set("entity", entity))
	sum := sha256.Sum256([]byte("whole"))
	around := append(append([]byte(`{"entity":`), entity...), `,"x":1}`...)
	for name, c := range map[string]struct {
		request  *hook.SentRequest
		response *hook.ReceivedResponse
		action   *hook.RanAction
	}{
		"entity within the body": {
			&hook.SentRequest{Method: "POST", URL: "https://x.test/a?b", Body: hook.Body{Bytes: around, Size: int64(len(around))}, EntityAt: 10,
				Headers: []hook.HeaderField{{Name: "A", Value: "ü\"\n"}, {Name: "Authorization", Redacted: true}}},
			&hook.ReceivedResponse{Status: 503, Headers: []hook.HeaderField{{Name: "Retry-After", Value: "120"}}, Body: hook.Body{Bytes: []byte("busy"), Size: 4}}, nil,
		},
		"body is the entity": {&hook.SentRequest{Method: "PUT", Body: hook.Body{Bytes: entity, Size: int64(len(entity))}}, nil, nil},
		"body without the entity": {
			&hook.SentRequest{Method: "POST", Body: hook.Body{Bytes: []byte{0xff, 0, 1}, Size: 3}, EntityAt: -1},
			&hook.ReceivedResponse{Status: 200, Body: hook.Body{Bytes: []byte{0xfe}, Size: 9, Truncated: true, SHA256: sum[:]}}, nil,
		},
		"cut within the entity": {
			&hook.SentRequest{Method: "POST", Body: hook.Body{Bytes: around[:15], Size: int64(len(around)), Truncated: true, SHA256: sum[:]}, EntityAt: -1}, nil, nil,
		},
		"cut after the entity": {
			&hook.SentRequest{Method: "POST", Body: hook.Body{Bytes: around[:10+len(entity)], Size: int64(len(around)), Truncated: true, SHA256: sum[:]}, EntityAt: 10}, nil, nil,
		},
		"no body": {&hook.SentRequest{Method: "GET", EntityAt: -1}, &hook.ReceivedResponse{Status: 204}, nil},
		"an action": {&hook.SentRequest{Method: "runCommand", URL: "deploy", Body: hook.Body{Bytes: []byte(`{"args":[]}`), Size: 11}, EntityAt: -1},
			&hook.ReceivedResponse{Status: 3, Body: hook.Body{Bytes: []byte("done"), Size: 4}}, &hook.RanAction{ID: target, Code: "deploy", Type: hook.ActionRunCommand, Step: 2}},
		"a post-processor": {nil, nil, &hook.RanAction{Type: hook.ActionSendEmail}},
		"no request":       {},
	} {
		id := w.delivery(at, key, target, rowBorn)
		a := &hook.Attempt{
			ID: w.idAt(at), Delivery: id, Number: 1, Trigger: hook.TriggerFirst, StartedAt: at, Outcome: hook.OutcomeFailed, ErrorClass: hook.ClassStatus,
			Error: "receiver answered \"503\"", RemoteAddress: "198.51.100.7:443", Node: "n1", TargetVersion: 4, Request: c.request, Response: c.response, Reused: true, Action: c.action,
			Timings: hook.Timings{DNS: time.Millisecond, Connect: 2 * time.Millisecond, TLS: 3 * time.Millisecond, FirstByte: 4 * time.Millisecond, Total: 5 * time.Millisecond},
		}
		job := &hook.Job{Node: hook.NodeID(w.node), Event: &hook.Event{Key: key, Workspace: w.ws, Entity: entity},
			Delivery: hook.Delivery{ID: id, Workspace: w.ws, EventKey: key, TargetKind: hook.TargetWebhook, Target: target, State: hook.StateRunning}}
		held, err := w.Finish(t.Context(), job.Node, []*hook.Finish{{Job: job, Attempt: a, State: hook.StateFailed, Reason: hook.ReasonPermanentError, Attempts: 1}})
		if err != nil || !held[0] {
			t.Fatalf("%s: finish: %v, %v", name, held, err)
		}
		got, err := w.Attempt(t.Context(), w.ws, id, "1")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if (got.Request == nil) != (c.request == nil) || (got.Response == nil) != (c.response == nil) {
			t.Fatalf("%s: request %v, response %v", name, got.Request, got.Response)
		}
		if got.Request != nil {
			sameBody(t, name+": request", got.Request.Body, c.request.Body)
			sameHeaders(t, name+": request", got.Request.Headers, c.request.Headers)
			if got.Request.Method != c.request.Method || got.Request.URL != c.request.URL {
				t.Errorf("%s: %s %s", name, got.Request.Method, got.Request.URL)
			}
		}
		if got.Response != nil {
			sameBody(t, name+": response", got.Response.Body, c.response.Body)
			sameHeaders(t, name+": response", got.Response.Headers, c.response.Headers)
			if got.Response.Status != c.response.Status {
				t.Errorf("%s: status %d", name, got.Response.Status)
			}
		}
		got.Request, got.Response = a.Request, a.Response
		if !reflect.DeepEqual(got, *a) {
			t.Errorf("%s: attempt = %+v\nwant %+v", name, got, *a)
		}
		if v, _, err := w.Delivery(t.Context(), w.ws, id); err != nil || v.State != hook.StateFailed || v.Reason != hook.ReasonPermanentError || v.Attempts != 1 {
			t.Errorf("%s: delivery = %+v, %v", name, v, err)
		}
	}
}

func sameBody(t *testing.T, what string, got, want hook.Body) {
	t.Helper()
	if !bytes.Equal(got.Bytes, want.Bytes) || got.Size != want.Size || got.Truncated != want.Truncated || !bytes.Equal(got.SHA256, want.SHA256) {
		t.Errorf("%s body = %q %+v\nwant %q %+v", what, got.Bytes, got, want.Bytes, want)
	}
}

func sameHeaders(t *testing.T, what string, got, want []hook.HeaderField) {
	t.Helper()
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s headers = %+v, want %+v", what, got, want)
	}
}
