package e2e

import (
	"net/http"
	"strings"

	"sallyport/internal/testkit"
)

func statusAnswer(status int) testkit.Answer { return testkit.Answer{Status: status} }

var _ = suite("webhooks", map[string]func(*world){
	"what is left out has its default": func(w *world) {
		a := w.admin.post("/v1/webhooks", doc{"name": "ERP Orders", "url": "https://erp.example.com/hooks"}).want(http.StatusCreated).has(
			"code", "erp-orders", "name", "ERP Orders", "description", "", "url", "https://erp.example.com/hooks", "urlSecret", "false",
			"method", "POST", "contentType", "application/json", "profile", "default", "signature", "", "eventTypes", `["*"]`, "filter", "",
			"includeEntity", "true", "enabled", "true", "paused", "false", "secrets", "[]", "basicAuth", "", "headers", "[]", "maxAttempts", "10",
			"retry.schedule", `["5s","5m","30m","2h","5h","10h","14h","20h","1d"]`, "retry.jitter", "0.1", "timeout", "15s", "successCodes", `["2xx"]`,
			"maxInFlight", "", "rateLimit", "", "ordering", "none", "metadata", "{}", "state", "active", "stateReason", "", "warnings", `["no_secret"]`, "version", "1", "number", "1",
		)
		if !strings.HasSuffix(a.text("createdAt"), "Z") || len(a.text("createdAt")) != len("2026-11-21T02:13:00.207Z") {
			w.t.Errorf("createdAt is %s", a.text("createdAt"))
		}
		w.admin.post("/v1/webhooks", doc{"code": "ETL", "url": "https://a.example", "profile": "etlworks"}).want(http.StatusCreated).has("includeEntity", "false", "number", "2", "name", "ETL")
		w.admin.post("/v1/webhooks", doc{"code": "mix", "url": "https://a.example", "profile": "mixpost"}).want(http.StatusCreated).has("successCodes", `["200","201","202"]`)
	},
	"durations are shown in their shortest form": func(w *world) {
		w.admin.put("/v1/webhooks/d", doc{"url": "https://a.example", "timeout": "60s", "retry": doc{"exponential": doc{"initial": "1000ms", "max": "60m"}, "jitter": 0}, "rateLimit": doc{"requests": 5, "per": "60s"}}).
			want(http.StatusCreated).has("timeout", "1m", "retry.exponential.initial", "1s", "retry.exponential.max", "1h", "retry.exponential.factor", "2", "rateLimit.per", "1m")
		w.admin.put("/v1/webhooks/d", doc{"url": "https://a.example", "retry": doc{"linear": doc{"interval": "90s"}}}).want(http.StatusOK).has("retry.linear.interval", "90s")
		for retry, at := range map[string]string{
			`{"schedule":["1s"],"linear":{"interval":"1s"}}`: "/retry", `{"schedule":[]}`: "/retry/schedule", `{"schedule":["50ms"]}`: "/retry/schedule/0",
			`{"schedule":["31d"]}`: "/retry/schedule/0", `{"jitter":2}`: "/retry/jitter", `{"exponential":{"initial":"1s","factor":0.5}}`: "/retry/exponential/factor",
		} {
			a := w.admin.put("/v1/webhooks/d", `{"url":"https://a.example","retry":`+retry+`}`).problem(http.StatusUnprocessableEntity, "validation_failed")
			if !strings.Contains(a.text("errors"), `"pointer":"`+at+`"`) {
				w.t.Errorf("%s is not told of at %s: %s", retry, at, a.body)
			}
		}
	},
	"names and codes are unique": func(w *world) {
		first := w.admin.post("/v1/webhooks", doc{"name": "ERP Orders", "url": "https://a.example"}).want(http.StatusCreated)
		w.admin.post("/v1/webhooks", doc{"name": "ERP Orders", "url": "https://a.example"}).problem(http.StatusConflict, "name_taken").has("owner", first.text("id"))
		w.admin.post("/v1/webhooks", doc{"name": "ERP orders!", "url": "https://a.example"}).want(http.StatusCreated).has("code", "erp-orders-2")
		w.admin.post("/v1/webhooks", doc{"code": "ERP-Orders", "url": "https://a.example"}).problem(http.StatusConflict, "code_taken").has("owner", first.text("id"))
		w.admin.put("/v1/webhooks/other", doc{"name": "ERP Orders", "url": "https://a.example"}).problem(http.StatusConflict, "name_taken").has("owner", first.text("id"))
		w.admin.get("/v1/webhooks/ERP-ORDERS").want(http.StatusOK).has("id", first.text("id"), "code", "erp-orders")
		for _, code := range []string{"", "no code", "ä", strings.Repeat("x", 65), "019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e"} {
			w.admin.post("/v1/webhooks", doc{"code": code, "url": "https://a.example"}).problem(http.StatusUnprocessableEntity, "validation_failed")
		}
		w.admin.post("/v1/webhooks", doc{"url": "https://a.example"}).fault("/name", "required")
		w.admin.post("/v1/webhooks", doc{"name": "  ", "url": "https://a.example"}).problem(http.StatusUnprocessableEntity, "validation_failed")
	},
	"PUT replaces, and says what it did": func(w *world) {
		body := doc{"url": "https://a.example/1", "eventTypes": []string{"order.*"}, "metadata": doc{"managed-by": "ci"}}
		w.admin.put("/v1/webhooks/ci?dryRun=true", body).want(http.StatusCreated).heads("Sallyport-Result", "created")
		w.admin.get("/v1/webhooks/ci").problem(http.StatusNotFound, "not_found")
		first := w.admin.put("/v1/webhooks/ci", body).want(http.StatusCreated).heads("Sallyport-Result", "created", "ETag", `"1"`)
		same := w.admin.put("/v1/webhooks/ci", body).want(http.StatusOK).heads("Sallyport-Result", "unchanged", "Sallyport-Changed", "", "ETag", `"1"`)
		if same.text("updatedAt") != first.text("updatedAt") {
			w.t.Error("an identical PUT moved updatedAt")
		}
		secret := w.planted.given("put-secret-" + random(24))
		changed := body.with(doc{"url": "https://a.example/2", "secret": secret})
		w.admin.put("/v1/webhooks/ci?dryRun=true", changed).want(http.StatusOK).heads("Sallyport-Result", "updated", "Sallyport-Changed", "url,secret").has("url", "https://a.example/2")
		w.admin.get("/v1/webhooks/ci").want(http.StatusOK).has("url", "https://a.example/1", "secrets", "[]")
		w.admin.put("/v1/webhooks/ci", changed).want(http.StatusOK).heads("Sallyport-Result", "updated", "Sallyport-Changed", "url,secret", "ETag", `"2"`)
		w.admin.put("/v1/webhooks/ci", changed).want(http.StatusOK).heads("Sallyport-Result", "unchanged")
		// What is not mentioned becomes its default, but the secret stays, and so does a pause.
		w.operator.post("/v1/webhooks/ci/pause", nil).want(http.StatusOK).heads("ETag", `"3"`)
		w.admin.put("/v1/webhooks/ci", doc{"url": "https://a.example/2"}).want(http.StatusOK).heads("Sallyport-Changed", "eventTypes,metadata").
			has("eventTypes", `["*"]`, "metadata", "{}", "secrets.0.hint", "…"+secret[len(secret)-4:], "state", "paused", "paused", "true")
	},
	"PATCH merges, and null is the default": func(w *world) {
		w.webhook(w.receiver(), doc{"code": "p", "eventTypes": []string{"order.*"}, "timeout": "3s", "metadata": doc{"a": "1", "b": "2"}})
		w.admin.patch("/v1/webhooks/p", doc{"timeout": nil, "metadata": doc{"a": nil, "c": "3"}}).want(http.StatusOK).
			has("timeout", "15s", "metadata", `{"b":"2","c":"3"}`, "eventTypes", `["order.*"]`).heads("Sallyport-Result", "updated", "Sallyport-Changed", "timeout,metadata")
		w.admin.patch("/v1/webhooks/p?dryRun=true", doc{"enabled": false}).want(http.StatusOK).has("enabled", "false", "state", "disabled")
		w.admin.get("/v1/webhooks/p").want(http.StatusOK).has("enabled", "true", "state", "active")
		w.admin.patch("/v1/webhooks/p", doc{"eventTypes": nil}).fault("/eventTypes", "empty_event_types")
		w.admin.patch("/v1/webhooks/p", doc{"url": nil}).fault("/url", "invalid_format")
		w.admin.patch("/v1/webhooks/p", `[]`).problem(http.StatusUnprocessableEntity, "validation_failed")
	},
	"no list of events means all, an empty one nothing at all": func(w *world) {
		for _, body := range []string{`{"code":"e","url":"https://a.example","eventTypes":[]}`, `{"code":"e","url":"https://a.example","eventTypes":null}`} {
			w.admin.post("/v1/webhooks", body).fault("/eventTypes", "empty_event_types").says(`["*"]`)
		}
		for _, pattern := range []string{"order.*.paid", "*.paid", "order*", "order.", "", "order.**"} {
			w.admin.post("/v1/webhooks", doc{"code": "e", "url": "https://a.example", "eventTypes": []string{pattern}}).problem(http.StatusUnprocessableEntity, "validation_failed")
		}
		r := w.receiver()
		w.webhook(r, doc{"eventTypes": []string{"order.*", "user.created"}})
		for _, eventType := range []string{"order.paid", "order.item.added", "user.created"} {
			w.publisher.post("/v1/events", doc{"type": eventType}).want(http.StatusAccepted).has("matched", "1")
		}
		for _, eventType := range []string{"order", "Order.paid", "orders.paid", "user.deleted", "user.created.twice"} {
			w.publisher.post("/v1/events", doc{"type": eventType}).want(http.StatusAccepted).has("matched", "0")
		}
	},
	"where it may send": func(w *world) {
		for url, code := range map[string]string{
			"http://10.0.0.1/": "url_not_allowed", "http://169.254.169.254/latest/meta-data": "url_not_allowed", "http://[::1]/": "url_not_allowed",
			"http://[fe80::1]/": "url_not_allowed", "http://192.168.1.1:8080/x": "url_not_allowed", "http://0.0.0.0/": "url_not_allowed", "http://[::ffff:10.0.0.1]/": "url_not_allowed",
			"ftp://a.example/": "invalid_url", "https://user:pass@a.example/": "invalid_url", "/hooks": "invalid_url", "https://a.example/#part": "invalid_url",
			"https://a.example:0/": "invalid_url", "https://": "invalid_url", "https://ä.example/": "invalid_url",
		} {
			a := w.admin.post("/v1/webhooks", doc{"code": "u", "url": url}).fault("/url", code)
			if code == "url_not_allowed" {
				a.says("SALLYPORT_EGRESS_ALLOW")
			}
		}
		w.admin.post("/v1/webhooks", doc{"code": "u", "url": "https://u:p@a.example/"}).fault("/url", "invalid_url").says("basicAuth")
		w.admin.post("/v1/webhooks", doc{"code": "u", "url": "https://bücher.example/"}).fault("/url", "invalid_url").says("xn--")
		w.admin.post("/v1/webhooks", doc{"code": "u"}).fault("/url", "required")
	},
	"what a profile cannot send is refused": func(w *world) {
		for name, c := range map[string]struct {
			body          doc
			pointer, code string
		}{
			"unknown profile":      {doc{"profile": "slack"}, "/profile", "invalid_format"},
			"form without a form":  {doc{"profile": "stripe", "contentType": "application/x-www-form-urlencoded"}, "/contentType", "invalid_format"},
			"content type":         {doc{"contentType": "text/plain"}, "/contentType", "invalid_format"},
			"method":               {doc{"method": "HEAD"}, "/method", "invalid_format"},
			"header of HTTP":       {doc{"headers": []doc{{"name": "Host", "value": "a"}}}, "/headers/0/name", "reserved_header"},
			"header of profile":    {doc{"headers": []doc{{"name": "x-webhook-id", "value": "a"}}}, "/headers/0/name", "reserved_header"},
			"header twice":         {doc{"headers": []doc{{"name": "X-A", "value": "a"}, {"name": "x-a", "value": "b"}}}, "/headers/1/name", "invalid_format"},
			"header and basicAuth": {doc{"basicAuth": doc{"username": "a", "password": w.planted.given("refused-" + random(12))}, "headers": []doc{{"name": "Authorization", "value": w.planted.given("Bearer refused-" + random(12))}}}, "/headers/0/name", "reserved_header"},
			"header without value": {doc{"headers": []doc{{"name": "X-A"}}}, "/headers/0/value", "required"},
			"header injection":     {doc{"headers": []doc{{"name": "X-A", "value": "a\r\nX-B: b"}}}, "/headers/0/value", "invalid_format"},
			"empty secret header":  {doc{"headers": []doc{{"name": "X-Token", "value": ""}}}, "/headers/0/value", "empty_secret"},
			"no password":          {doc{"basicAuth": doc{"username": "a"}}, "/basicAuth/password", "required"},
			"colon in user":        {doc{"basicAuth": doc{"username": "a:b", "password": w.planted.given("refused-" + random(12))}}, "/basicAuth/username", "invalid_format"},
			"success of redirects": {doc{"successCodes": []string{"3xx"}}, "/successCodes/0", "invalid_format"},
			"filter":               {doc{"filter": "event.entity.total >"}, "/filter", "template_syntax"},
			"ordering":             {doc{"ordering": "entity"}, "/ordering", "invalid_format"},
			"maxInFlight":          {doc{"maxInFlight": 0}, "/maxInFlight", "out_of_range"},
			"signature":            {doc{"signature": doc{"algorithm": "md5", "header": "X-S"}}, "/signature/algorithm", "invalid_format"},
			"signature of nothing": {doc{"signature": doc{"algorithm": "hmac-sha256", "header": "X-S", "content": "{id}"}}, "/signature/content", "invalid_format"},
			"signature over ours":  {doc{"signature": doc{"algorithm": "hmac-sha256", "header": "X-Webhook-Id"}}, "/signature/header", "reserved_header"},
		} {
			body := doc{"code": "bad", "url": "https://a.example"}.with(c.body)
			w.t.Log(name)
			w.admin.post("/v1/webhooks", body).fault(c.pointer, c.code)
		}
	},
	"the list is filtered by owner and pages": func(w *world) {
		for _, code := range []string{"a", "b", "c"} {
			w.admin.put("/v1/webhooks/"+code, doc{"url": "https://a.example", "metadata": doc{"managed-by": "ci"}}).want(http.StatusCreated)
		}
		w.admin.put("/v1/webhooks/d", doc{"url": "https://a.example"}).want(http.StatusCreated)
		a := w.viewer.get("/v1/webhooks?metadata=managed-by:ci&limit=2").want(http.StatusOK)
		b := w.viewer.get("/v1/webhooks?metadata=managed-by:ci&limit=2&cursor="+a.text("nextCursor")).want(http.StatusOK).has("nextCursor", "")
		if got := strings.Join(append(a.list("code"), b.list("code")...), " "); got != "c b a" {
			w.t.Errorf("found %s", got)
		}
		w.admin.put("/v1/webhooks/d", doc{"url": "https://a.example", "metadata": doc{"a:b": "c"}}).problem(http.StatusUnprocessableEntity, "validation_failed")
	},
})
