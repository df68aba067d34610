package e2e

import (
	"net/http"
	"strings"
)

// configurable are all kinds of configuration: where they are, what makes one, and a change.
func configurable(code string) map[string][2]doc {
	return map[string][2]doc{
		"/v1/event-types/" + code + ".made":  {{"description": "one"}, {"description": "two"}},
		"/v1/actions/" + code:                {{"type": "upsertRecord", "config": doc{"collection": "c", "key": "k"}, "description": "one"}, {"description": "two"}},
		"/v1/incoming-webhooks/" + code:      {{"description": "one"}, {"description": "two"}},
		"/v1/webhooks/" + code:               {{"url": "https://a.example", "description": "one"}, {"description": "two"}},
		"/v1/api-keys/" + code:               {{"role": "viewer", "name": "one"}, {"name": "two"}},
		"/v1/workspaces/" + code + random(6): {{"name": "one"}, {"name": "two"}},
	}
}

var _ = suite("scripts", map[string]func(*world){
	"every kind of configuration can be planned, applied and found": func(w *world) {
		for path, docs := range configurable("made") {
			owner := "ci-" + random(6)
			first := docs[0].with(doc{"metadata": doc{"managed-by": owner, "team": "erp"}})
			second := first.with(docs[1])
			list := path[:strings.LastIndexByte(path, '/')]
			if strings.HasPrefix(path, "/v1/api-keys/") {
				key := w.planted.given("vault-key-of-the-scripts-" + random(24))
				first, second = first.with(doc{"key": key}), second.with(doc{"key": key})
			}
			w.platform.put(path+"?dryRun=true", first).want(http.StatusCreated).heads("Sallyport-Result", "created", "Sallyport-Changed", "")
			w.platform.get(path).problem(http.StatusNotFound, "not_found")
			w.platform.put(path, first, "If-Match", `"1"`).problem(http.StatusPreconditionFailed, "precondition_failed")
			w.platform.put(path, first, "If-None-Match", "*").want(http.StatusCreated).heads("Sallyport-Result", "created", "ETag", `"1"`)
			made := w.platform.get(path).want(http.StatusOK)
			for _, query := range []string{"?dryRun=true", ""} {
				w.platform.put(path+query, first).want(http.StatusOK).heads("Sallyport-Result", "unchanged", "Sallyport-Changed", "", "ETag", `"1"`)
			}
			if again := w.platform.get(path).want(http.StatusOK); string(again.body) != string(made.body) {
				w.t.Errorf("%s: putting the same changed\n%s\nto\n%s", path, made.body, again.body)
			}
			changed := "description"
			if docs[1]["name"] != nil {
				changed = "name"
			}
			w.platform.put(path+"?dryRun=true", second).want(http.StatusOK).heads("Sallyport-Result", "updated", "Sallyport-Changed", changed)
			w.platform.get(path).want(http.StatusOK).heads("ETag", `"1"`).has(changed, "one")
			w.platform.put(path, second, "If-None-Match", "*").problem(http.StatusPreconditionFailed, "precondition_failed")
			w.platform.put(path, second, "If-Match", `"1"`).want(http.StatusOK).heads("Sallyport-Result", "updated", "Sallyport-Changed", changed, "ETag", `"2"`)
			w.platform.patch(path+"?dryRun=true", docs[0]).want(http.StatusOK).heads("Sallyport-Result", "updated")
			for query, want := range map[string]int{
				"metadata=managed-by:" + owner: 1, "metadata=managed-by:" + owner + "&metadata=team:erp": 1, "metadata=managed-by:" + owner + "&metadata=team:crm": 0, "metadata=team:" + owner: 0,
			} {
				if got := len(w.platform.get(list + "?" + query).want(http.StatusOK).list("id")); got != want {
					w.t.Errorf("%s?%s lists %d, want %d", list, query, got, want)
				}
			}
			w.platform.get(list+"?metadata=team").problem(http.StatusBadRequest, "invalid_parameter")
		}
	},
	"every POST that makes something can be repeated": func(w *world) {
		for path, docs := range configurable("posted") {
			list, name := path[:strings.LastIndexByte(path, '/')], path[strings.LastIndexByte(path, '/')+1:]
			body := docs[0].with(doc{"code": name})
			if list == "/v1/event-types" {
				body = docs[0].with(doc{"name": name})
			}
			key := "once-" + random(12)
			first := w.platform.post(list, body, "Idempotency-Key", key).want(http.StatusCreated).heads("Idempotent-Replayed", "")
			again := w.platform.post(list, body, "Idempotency-Key", key).want(http.StatusCreated).heads("Idempotent-Replayed", "true", "Location", first.header.Get("Location"), "ETag", `"1"`)
			if string(again.body) != string(first.body) {
				w.t.Errorf("%s answers\n%s\nand repeated\n%s", list, first.body, again.body)
			}
			w.platform.post(list, body.with(docs[1]), "Idempotency-Key", key).problem(http.StatusUnprocessableEntity, "idempotency_key_reused")
		}
	},
})
