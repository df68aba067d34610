package api_test

import (
	"net/http"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

func TestReplays(t *testing.T) {
	t.Parallel()
	s := setup(t)
	id := s.event.Key.String()
	const spec = `{"webhook":"erp-orders","since":"2026-11-21T02:00:00Z","include":"all"}`
	a := s.do(t, "operator", "POST", "/v1/replays", spec)
	if a.StatusCode != http.StatusAccepted || a.Header.Get("Location") != "/v1/replays/"+id || s.last(t, "CreateReplay").doc != spec {
		t.Errorf("created: %d at %s: %s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	for _, want := range []string{`"webhook":{"code":"erp-orders"`, `"action":null`, `"state":"running"`, `"stateReason":"backlog"`, `"total":812`, `"done":300`,
		`"entityId":"A-7"`, `"rate":50`, `"freshIds":true`, `"createdBy":{"code":"billing"`, `"finishedAt":null`, `"since":"2026-11-21T01:43:00.207Z"`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in %s", want, a.body)
		}
	}
	a = s.do(t, "operator", "POST", "/v1/replays", `{"dryRun":true}`)
	if a.StatusCode != http.StatusOK || a.Header.Get("Location") != "" || !strings.Contains(a.body, `"total":812`) || !strings.Contains(a.body, `"complete":false`) {
		t.Errorf("dry: %d %s", a.StatusCode, a.body)
	}
	a = s.do(t, "viewer", "GET", "/v1/replays?state=running&state=paused&webhook=erp-orders&since=2026-11-21T02:00:00Z&limit=3", "")
	f := s.last(t, "ListReplays").replays
	if a.StatusCode != http.StatusOK || len(f.States) != 2 || f.States[1] != hook.ReplayPaused || len(f.Targets) != 1 || f.Targets[0] != s.webhook.ID || f.Since.IsZero() {
		t.Errorf("listed: %d, asked for %+v", a.StatusCode, f)
	}
	for _, want := range []string{`"eventTypes":["*"]`, `"webhook":null`, `"action":{"code"`, `"createdBy":null`, `"total":null`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in %s", want, a.body)
		}
	}
	for _, verb := range []string{"pause", "resume", "cancel"} {
		method := strings.ToUpper(verb[:1]) + verb[1:] + "Replay"
		if a := s.do(t, "operator", "POST", "/v1/replays/"+id+"/"+verb, ""); a.StatusCode != http.StatusOK || s.last(t, method).ref != id {
			t.Errorf("%s: %d %s", verb, a.StatusCode, a.body)
		}
	}
	if a := s.do(t, "viewer", "GET", "/v1/replays/no-id", ""); a.StatusCode != http.StatusNotFound {
		t.Errorf("a replay by code: %d", a.StatusCode)
	}
	s.do(t, "viewer", "GET", "/v1/deliveries?replayId="+id, "")
	if f := s.last(t, "Deliveries").deliv; len(f.Replays) != 1 || f.Replays[0] != s.event.Key {
		t.Errorf("asked for deliveries of %v", f.Replays)
	}
	// Repeated, it starts no second one.
	key := []string{"Idempotency-Key", "tonight"}
	first := s.do(t, "operator", "POST", "/v1/replays", spec, key...)
	second := s.do(t, "operator", "POST", "/v1/replays", spec, key...)
	if second.StatusCode != http.StatusAccepted || second.body != first.body || second.Header.Get("Location") == "" || second.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("repeated: %d %s", second.StatusCode, second.body)
	}
}
