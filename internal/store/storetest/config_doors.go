package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// actionSpec is an action in which every field says something.
func actionSpec(code string) hook.ActionSpec {
	return hook.ActionSpec{
		Code: code, Name: "Name of " + code, Description: "two\nlines", Type: hook.ActionHTTPRequest,
		Config:    []byte("{ \"url\": \"https://x.example/?a=<1>&b=2\", \"method\":\"PUT\",\n\"body\":\"\\u0000\" }"), // to the byte
		Condition: "item.a > 1", Enabled: true, MaxAttempts: 7, Timeout: 3 * time.Second,
		Retry:    hook.Retry{Exponential: &hook.Exponential{Initial: time.Second, Factor: 1.5, Max: time.Hour}, Jitter: 0.25},
		Metadata: map[string]string{"managed-by": "ci"},
	}
}

// doorSpec is an incoming webhook in which every field says something.
func doorSpec(code string) hook.IncomingSpec {
	equals, body, tolerance := "", "OK {{ request.id }}", 0*time.Second
	parser := hook.Parser{Type: "csv", Delimiter: ";", Enclosure: "'", Escape: `\`, Header: true, Columns: []string{"a", "b"},
		Encoding: "windows-1252", Items: "rows[*]", Split: true, MaxItems: 5, OnItemError: hook.OnItemErrorSkip}
	return hook.IncomingSpec{
		Code: code, Name: "Name of " + code, Description: "d", Enabled: true, Methods: []string{"GET", "POST"}, Profile: hook.DoorAlumio,
		IPAllowList: []string{"203.0.113.0/24"}, Hash: "the-hash-of-the-door", HashTimezone: "Europe/Berlin", HashTolerance: time.Minute,
		HashIn: hook.HashPlace{In: "header", Name: "X-Hash"},
		PreProcessors: []hook.PreProcessor{
			{Name: "a", Type: "header", Header: "X-A", Equals: &equals},
			{Name: "b", Type: "body", Path: "a.b", Matches: "^x$"},
			{Name: "c", Type: "basicAuth", Username: "erp", Secrets: []string{"one", "two"}},
			{Name: "d", Type: "apiKey", Parameter: "key", Secrets: []string{"one"}},
			{Name: "e", Type: "ip", Allow: []string{"::1"}},
			{Name: "f", Type: "schema", Schema: []byte(`{ "type": "object" }`)},
			{Name: "g", Type: "condition", Condition: "true"},
			{Name: "h", Type: "signature", Preset: "meta", Secrets: []string{"two"}, Handshake: []string{"one"}},
			{Name: "i", Type: "signature", Signature: []byte(`{"header": "X"}`), Tolerance: &tolerance},
		},
		Parser:         parser,
		Routes:         []hook.Route{{Name: "primary", Action: "book"}, {Name: "second", Action: "Book", Condition: "item.x", Parser: &parser, Transform: "{{ item }}"}},
		PostProcessors: []hook.PostProcessor{{Type: "publishEvent", Config: []byte(`{ "type": "x" }`)}, {Type: hook.PostAction, Action: "after"}},
		Dedupe:         &hook.Dedupe{Key: "{{ request.id }}", Window: time.Hour, OnDuplicate: hook.DuplicateRefuse},
		RateLimit:      &hook.RateLimit{Requests: 5, Per: time.Second}, MaxBodyBytes: 1 << 20, BodyTimeout: time.Minute, Logging: hook.LoggingMetadata,
		Response: hook.DoorResponse{Mode: hook.ResponseWait, Status: 200, Headers: []hook.Header{{Name: "X-R", Value: "v"}}, Body: &body, Timeout: time.Second},
		Refusal:  hook.RefusalUniform, Metadata: map[string]string{"managed-by": "ci"},
	}
}

func namedSecrets() []hook.NamedSecret {
	return []hook.NamedSecret{{Name: "two", Value: "the-second-value"}, {Name: "one", Value: "the-first-value"}}
}

func (w *world) action(t *testing.T, ref string, change func(*hook.Action)) *hook.Action {
	t.Helper()
	a, err := w.EditAction(t.Context(), w.ws.ID, ref, false, func(scene hook.ActionScene) (*hook.Action, error) {
		next := &hook.Action{ActionSpec: actionSpec("book"), Secrets: namedSecrets()}
		if scene.Current != nil {
			*next = *scene.Current
			next.Secrets = slices.Clone(next.Secrets)
		}
		change(next)
		return next, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (w *world) door(t *testing.T, ref string, change func(*hook.IncomingWebhook)) *hook.IncomingWebhook {
	t.Helper()
	d, err := w.EditIncoming(t.Context(), w.ws.ID, ref, false, func(scene hook.IncomingScene) (*hook.IncomingWebhook, error) {
		next := &hook.IncomingWebhook{IncomingSpec: doorSpec("erp"), Secrets: namedSecrets()}
		if scene.Current != nil {
			*next = *scene.Current
			next.Secrets = slices.Clone(next.Secrets)
		}
		change(next)
		return next, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func actionRoundTrip(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	made := w.action(t, "", func(*hook.Action) {})
	full, err := w.LoadAction(ctx, w.ws.ID, made.ID)
	if err != nil || !reflect.DeepEqual(full, made) {
		t.Fatalf("read   %+v\nwrote %+v\n%v", full, made, err)
	}
	if made.Version != 1 || made.Secrets[0].Name != "one" || made.Secrets[1].Value != "the-second-value" || made.Secrets[1].Hint != "…alue" {
		t.Errorf("made %#v", made)
	}
	shown, err := w.Action(ctx, w.ws.ID, "BOOK")
	if err != nil || len(shown.Secrets) != 2 || shown.Secrets[0].Value != "" || shown.Secrets[0].Hint != "…alue" {
		t.Fatalf("shown %#v, %v", shown, err)
	}
	for _, r := range []hook.Retry{{Schedule: []time.Duration{time.Second}, Jitter: 0.1}, {Linear: &hook.Linear{Interval: time.Minute}}} {
		made = w.action(t, "book", func(a *hook.Action) {
			a.Retry, a.Condition, a.Enabled, a.Secrets = r, "", false, a.Secrets[:1]
		})
		if full, err = w.LoadAction(ctx, w.ws.ID, made.ID); err != nil || !reflect.DeepEqual(full, made) || full.State() != hook.TargetDisabled {
			t.Fatalf("read   %+v\nwrote %+v\n%v", full, made, err)
		}
	}
	for i := range 3 {
		w.action(t, "", func(a *hook.Action) {
			a.ActionSpec = actionSpec("a" + strconv.Itoa(i))
			a.Metadata["n"] = strconv.Itoa(i)
		})
	}
	list, more, err := w.Actions(ctx, w.ws.ID, hook.ListFilter{Metadata: map[string]string{"managed-by": "ci"}}, hook.Page{Limit: 3})
	if err != nil || !more || len(list) != 3 || list[0].Code != "a2" || list[0].Secrets[0].Value != "" {
		t.Errorf("list %+v, %v, %v", list, more, err)
	}
	list, _, err = w.Actions(ctx, w.ws.ID, hook.ListFilter{Metadata: map[string]string{"n": "1"}}, hook.Page{Limit: 3})
	if err != nil || len(list) != 1 || list[0].Code != "a1" {
		t.Errorf("list by metadata %+v, %v", list, err)
	}
	_, err = w.Action(ctx, w.ID(), "book")
	mustKind(t, err, hook.KindNotFound)
}

func doorRoundTrip(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	made := w.door(t, "", func(*hook.IncomingWebhook) {})
	full, err := w.LoadIncoming(ctx, w.ws.ID, made.ID)
	if err != nil || !reflect.DeepEqual(full, made) {
		t.Fatalf("read   %+v\nwrote %+v\n%v", full, made, err)
	}
	shown, err := w.IncomingWebhook(ctx, w.ws.ID, "ERP")
	if err != nil || shown.Hash != "the-hash-of-the-door" || shown.Secrets[0].Value != "" || shown.Secrets[0].Hint != "…alue" {
		t.Fatalf("shown %#v, %v", shown, err)
	}
	list, _, err := w.IncomingWebhooks(ctx, w.ws.ID, hook.ListFilter{Metadata: map[string]string{"managed-by": "ci"}}, hook.Page{Limit: 3})
	if err != nil || len(list) != 1 || list[0].Hash != shown.Hash || list[0].Secrets[1].Value != "" {
		t.Fatalf("list %#v, %v", list, err)
	}
	made = w.door(t, "erp", func(d *hook.IncomingWebhook) {
		d.IncomingSpec = hook.IncomingSpec{Code: "erp", Name: "n", Methods: []string{"POST"}, Parser: hook.DefaultParser(), Metadata: map[string]string{}}
		d.Secrets = nil
	})
	if full, err = w.LoadIncoming(ctx, w.ws.ID, made.ID); err != nil || !reflect.DeepEqual(full, made) || full.Version != 2 {
		t.Fatalf("read   %+v\nwrote %+v\n%v", full, made, err)
	}
	// Names need not be unique, codes are.
	w.door(t, "", func(d *hook.IncomingWebhook) {
		d.Code = "other"
		if d.Name = "n"; d.ID != hook.NoID {
			t.Error("a new one has an id before it is stored")
		}
	})
	_, err = w.EditIncoming(ctx, w.ws.ID, "", true, func(scene hook.IncomingScene) (*hook.IncomingWebhook, error) {
		if id, err := scene.CodeOwner("Erp"); err != nil || id != made.ID || scene.NameOwner != nil {
			t.Errorf("owner of the code: %v, %v", id, err)
		}
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.IncomingWebhook(ctx, w.ID(), "erp")
	mustKind(t, err, hook.KindNotFound)
}

func doorsInSnapshots(t *testing.T, open Opener) {
	w := setup(t, open)
	ctx := t.Context()
	gone := time.Now().UTC().Truncate(time.Millisecond)
	book := w.action(t, "", func(*hook.Action) {})
	w.action(t, "", func(a *hook.Action) { a.Code = "gone" })
	w.action(t, "gone", func(a *hook.Action) { a.DeletedAt = &gone })
	door := w.door(t, "", func(*hook.IncomingWebhook) {})
	w.door(t, "", func(d *hook.IncomingWebhook) { d.Code = "gone" })
	dead := w.door(t, "gone", func(d *hook.IncomingWebhook) { d.DeletedAt = &gone })
	before := w.version(t)
	s, err := w.LoadSnapshot(ctx, w.ws.ID)
	if err != nil || len(s.Actions) != 1 || len(s.Incoming) != 1 || s.Version != before {
		t.Fatalf("snapshot %+v, %v", s, err)
	}
	if !reflect.DeepEqual(s.Actions[0], book) || !reflect.DeepEqual(s.Incoming[0], door) {
		t.Errorf("snapshot has %+v\n%+v", s.Actions[0], s.Incoming[0])
	}
	// A tombstone can be read by those who work on what was accepted, without secrets.
	if full, err := w.LoadIncoming(ctx, w.ws.ID, dead.ID); err != nil || full.Hash != "" || len(full.Secrets) != 0 || full.DeletedAt == nil || len(full.Routes) != 2 {
		t.Errorf("tombstone %+v, %v", full, err)
	}
	_, err = w.IncomingWebhook(ctx, w.ws.ID, "gone")
	mustKind(t, err, hook.KindNotFound)
	w.action(t, "", func(a *hook.Action) { a.Code = "gone" }) // the code is free
	if v := w.version(t); v != before+1 {
		t.Errorf("version went from %d to %d", before, v)
	}
	// Sweeping takes tombstones of yesterday.
	yesterday := time.Now().Add(-25 * time.Hour)
	w.action(t, "gone", func(a *hook.Action) { a.DeletedAt = &yesterday })
	if n, err := w.Sweep(ctx, 100); err != nil || n != 1 {
		t.Errorf("swept %d, %v", n, err)
	}
}

func usersOfActions(t *testing.T, open Opener) {
	w := setup(t, open)
	for _, code := range []string{"book", "after", "free"} {
		w.action(t, "", func(a *hook.Action) { a.Code = code })
	}
	set := func(code string, members string) {
		w.action(t, "", func(a *hook.Action) {
			a.Code, a.Type, a.Config = code, hook.ActionSet, []byte(`{"actions":`+members+`}`)
		})
	}
	set("nightly", `["BOOK","after"]`)
	w.door(t, "", func(*hook.IncomingWebhook) {})
	w.door(t, "", func(d *hook.IncomingWebhook) { d.Code = "gone" })
	gone := time.Now()
	w.door(t, "gone", func(d *hook.IncomingWebhook) { d.DeletedAt = &gone })
	for code, want := range map[string][]string{
		"book":  {"incoming webhook erp, route primary", "incoming webhook erp, route second", "action nightly"},
		"after": {"incoming webhook erp, postProcessors[1]", "action nightly"},
		"free":  nil, "nightly": nil,
	} {
		_, err := w.EditAction(t.Context(), w.ws.ID, code, true, func(scene hook.ActionScene) (*hook.Action, error) {
			if !slices.Equal(scene.UsedBy, want) {
				t.Errorf("%s is used by %q; want %q", code, scene.UsedBy, want)
			}
			if scene.Actions["book"] == nil || len(scene.Actions) != 4 || scene.Actions["book"].Secrets[0].Value != "" {
				t.Errorf("the scene's actions: %s", fmt.Sprint(scene.Actions))
			}
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
