package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/testkit"
)

var _ = suite("records", map[string]func(*world){
	"created, replaced, merged and deleted by actions, and told of": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "records", "eventTypes": []string{"Record.*"}})
		record := doc{"collection": "stock", "key": "{{ item.sku }}"}
		for _, kind := range []string{"createRecord", "upsertRecord", "updateRecord", "deleteRecord"} {
			config := record
			if kind != "deleteRecord" {
				config = record.with(doc{"document": "{{ item }}"})
			}
			w.action(kind, kind, config)
			w.door(kind, doc{"routes": to(kind)})
		}
		run := func(kind, item, state string) *answer {
			w.t.Helper()
			n := w.ran(w.nobody.post(w.in(kind), item).want(http.StatusAccepted), doc{state: 1})
			return w.viewer.get("/v1/deliveries/" + n.text("deliveries.0.id")).want(http.StatusOK)
		}
		told := func(n int, kind string) map[string]any {
			w.t.Helper()
			all := r.WaitFor(strconv.Itoa(n)+" events", func(all []testkit.Received) bool { return len(all) >= n })
			var e struct {
				EventType, EntityID string
				Entity              map[string]any
			}
			if err := json.Unmarshal(all[n-1].Body, &e); err != nil {
				w.t.Fatal(err)
			}
			if e.EventType != kind || e.EntityID != "A-1" || e.Entity["collection"] != "stock" || e.Entity["key"] != "A-1" || len(all) != n {
				w.t.Errorf("told of %s", all[n-1].Body)
			}
			return e.Entity
		}
		one := "/v1/collections/stock/records/A-1"
		w.viewer.get(one).problem(http.StatusNotFound, "not_found")
		run("updateRecord", `{"sku":"A-1"}`, "failed").has("stateReason", "permanent_error", "attemptCount", "1")
		run("createRecord", `{"sku":"A-1","qty":3}`, "succeeded")
		told(1, "Record.Created")
		w.viewer.get(one).want(http.StatusOK).heads("ETag", `"1"`).has("collection", "stock", "key", "A-1", "document.qty", "3", "version", "1")
		run("createRecord", `{"sku":"A-1","qty":4}`, "failed").has("stateReason", "permanent_error", "attemptCount", "1")
		run("updateRecord", `{"sku":"A-1","place":"B"}`, "succeeded")
		if e := told(2, "Record.Updated"); at(e, "before.place") != nil || at(e, "document.place") != "B" || at(e, "document.qty") != 3.0 {
			w.t.Errorf("told of %v", e)
		}
		run("upsertRecord", `{"sku":"A-1","qty":5}`, "succeeded")
		if e := told(3, "Record.Updated"); at(e, "before.place") != "B" || at(e, "document.place") != nil {
			w.t.Errorf("told of %v", e)
		}
		run("upsertRecord", `{"qty":5,"sku":"A-1"}`, "succeeded") // which changes nothing, and tells of nothing
		w.viewer.get(one).want(http.StatusOK).has("version", "3", "document.qty", "5", "document.place", "")
		run("deleteRecord", `{"sku":"A-1"}`, "succeeded")
		if e := told(4, "Record.Deleted"); at(e, "before.qty") != 5.0 {
			w.t.Errorf("told of %v", e)
		}
		w.viewer.get(one).problem(http.StatusNotFound, "not_found")
		run("deleteRecord", `{"sku":"A-1"}`, "succeeded")
		event := r.Received()[3].Header.Get("webhook-id")
		w.viewer.get("/v1/events/"+event).want(http.StatusOK).has("source.kind", "record", "hops", "1")
	},
	"read and written by hand": func(w *world) {
		r := w.receiver()
		w.webhook(r, doc{"code": "records", "eventTypes": []string{"Record.Created", "Record.Deleted"}})
		path := func(key string) string { return "/v1/collections/orders/records/" + key }
		a := w.admin.put(path("b"), `{"n": 1.10, "z": null}`).want(http.StatusCreated).heads("ETag", `"1"`, "Sallyport-Result", "created", "Location", path("b"))
		if !strings.Contains(string(a.body), "1.10") {
			w.t.Errorf("the number was changed: %s", a.body)
		}
		w.admin.put(path("b"), `{"z":null,"n":1.10}`).want(http.StatusOK).heads("ETag", `"1"`, "Sallyport-Result", "unchanged")
		w.admin.put(path("b"), doc{"n": 2}, "If-Match", `"7"`).problem(http.StatusPreconditionFailed, "precondition_failed")
		w.admin.put(path("b"), doc{"n": 2}, "If-Match", `"1"`).want(http.StatusOK).heads("ETag", `"2"`, "Sallyport-Result", "updated")
		w.admin.put(path("b"), doc{"n": 3}, "If-None-Match", `*`).problem(http.StatusPreconditionFailed, "precondition_failed")
		w.admin.put(path("x")+"?dryRun=true", doc{"n": 3}).want(http.StatusCreated).heads("Sallyport-Result", "created")
		w.viewer.get(path("x")).problem(http.StatusNotFound, "not_found")
		w.admin.put(path("b")+"?dryRun=true", doc{"n": 3}).want(http.StatusOK).heads("Sallyport-Result", "updated", "ETag", `"3"`).has("document.n", "3", "version", "3")
		w.viewer.get(path("b")).want(http.StatusOK).has("document.n", "2", "version", "2")
		w.admin.put(path("b"), doc{"n": 3}, "If-Match", `2`).problem(http.StatusPreconditionFailed, "precondition_failed").says("with its quotes")
		w.admin.put(path("b"), doc{"n": 3}, "If-Match", `"1", W/"2"`).problem(http.StatusPreconditionFailed, "precondition_failed").says("without W/")
		for _, key := range []string{"a", "c", "a%2Fb", "ba"} {
			w.admin.put(path(key), doc{"k": key}).want(http.StatusCreated)
		}
		w.admin.put(path("list"), `[1]`).problem(http.StatusUnprocessableEntity, "validation_failed")
		w.admin.put("/v1/collections/no%20name/records/a", doc{}).problem(http.StatusUnprocessableEntity, "validation_failed")
		for query, want := range map[string][]string{
			"": {"a", "a/b", "b", "ba", "c"}, "?order=desc": {"c", "ba", "b", "a/b", "a"}, "?prefix=b": {"b", "ba"}, "?limit=2": {"a", "a/b"}, "?prefix=none": {},
		} {
			if got := w.viewer.get("/v1/collections/orders/records" + query).want(http.StatusOK).list("key"); !slices.Equal(got, want) {
				w.t.Errorf("%s lists %v, want %v", query, got, want)
			}
		}
		page := w.viewer.get("/v1/collections/orders/records?limit=3").want(http.StatusOK)
		if got := w.viewer.get("/v1/collections/orders/records?limit=3&cursor="+page.text("nextCursor")).want(http.StatusOK).has("nextCursor", "").list("key"); !slices.Equal(got, []string{"ba", "c"}) {
			w.t.Errorf("the second page has %v", got)
		}
		w.viewer.get("/v1/collections/none/records").want(http.StatusOK).has("data", "[]")
		w.viewer.get("/v1/collections").want(http.StatusOK).has("data.0.name", "orders", "data.0.records", "5", "data.1", "")
		w.viewer.get(path("b"), "If-None-Match", `"2"`).want(http.StatusNotModified)
		w.viewer.get(path("a%2Fb")).want(http.StatusOK).has("key", "a/b")
		w.admin.delete(path("b"), "If-Match", `"1"`).problem(http.StatusPreconditionFailed, "precondition_failed")
		w.admin.delete(path("b")).want(http.StatusNoContent)
		w.admin.delete(path("b")).problem(http.StatusNotFound, "not_found")
		w.operator.put(path("o"), doc{}).problem(http.StatusForbidden, "forbidden")
		r.Wait(6) // five created, one deleted
		if n := len(r.Received()); n != 6 {
			w.t.Errorf("told of %d changes", n)
		}
	},
})
