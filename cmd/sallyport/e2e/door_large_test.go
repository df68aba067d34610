package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var _ = suite("large requests", map[string]func(*world){
	"a CSV of 40,000 rows in Windows-1252 over a slow line": func(w *world) {
		const rows, kept = 40_000, 400
		w.action("keep", "createRecord", doc{"collection": "stock", "key": "{{ item.sku }}", "document": "{{ item }}"})
		w.door("csv", doc{"maxBodyBytes": 5 << 20, "bodyTimeout": "5m",
			"routes": []doc{{"action": "keep", "condition": "item.sku ends with '00'"}}, // the fault tests run an action for each of thousands
			"parser": doc{"type": "csv", "delimiter": ";", "encoding": "windows-1252", "maxItems": 50_000}})
		var csv strings.Builder
		csv.WriteString("sku;name;menge\r\n")
		for n := range rows {
			fmt.Fprintf(&csv, "A-%05d;Gr\xf6\xdfe \x80 %d;%d\r\n", n, n, n%7)
		}
		body := csv.String()
		x := w.dial().send("POST " + w.in("csv") + " HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n")
		const pieces = 30 // over three seconds
		for n := range pieces {
			x.send(body[len(body)*n/pieces : len(body)*(n+1)/pieces])
			time.Sleep(100 * time.Millisecond)
		}
		a := x.answer().want(http.StatusAccepted).has("events", strconv.Itoa(rows))
		shown := false
		// However slow the machine is, it must get on.
		for done, since := "", time.Now(); ; time.Sleep(100 * time.Millisecond) {
			n := w.viewer.get("/v1/requests?code=csv").want(http.StatusOK).has("data.0.id", a.text("requestId"), "data.0.eventCount", strconv.Itoa(rows))
			if n.at("data.0.expansion") == nil {
				break
			}
			shown = true
			n.has("data.0.expansion.total", strconv.Itoa(rows))
			if now := n.text("data.0.expansion.done"); now != done {
				done, since = now, time.Now()
			} else if time.Since(since) > patience {
				w.t.Fatalf("it stands still at %s rows", done)
			}
		}
		if !shown {
			w.t.Error("the expansion never showed")
		}
		for succeeded, since := "", time.Now(); succeeded != strconv.Itoa(kept); {
			time.Sleep(500 * time.Millisecond) // the answer has the whole body in it
			n := w.noted(a)
			if n.at("states.failed") != nil {
				w.t.Fatalf("some failed: a row was made twice, or could not be read: %s", n.text("states"))
			}
			if now := n.text("states.succeeded"); now != succeeded {
				succeeded, since = now, time.Now()
			} else if time.Since(since) > patience {
				w.t.Fatalf("it stands still at %s", n.text("states"))
			}
		}
		// A record is made once: one event made twice would have failed.
		w.noted(a).has("states.succeeded", strconv.Itoa(kept), "eventCount", strconv.Itoa(rows), "deliveryCount", strconv.Itoa(kept), "expansion", "")
		w.viewer.get("/v1/collections").want(http.StatusOK).has("data.0.name", "stock", "data.0.records", strconv.Itoa(kept))
		for _, n := range []int{0, 400, 500, 12_300, rows - 100} {
			w.viewer.get("/v1/collections/stock/records/A-"+fmt.Sprintf("%05d", n)).want(http.StatusOK).
				has("document.name", fmt.Sprintf("Größe € %d", n), "document.menge", strconv.Itoa(n%7), "version", "1")
		}
	},
	"too many rows are refused, and none is taken": func(w *world) {
		r := w.sink("a")
		w.door("few", doc{"parser": doc{"type": "csv", "maxItems": 3}, "routes": to("a")})
		a := w.nobody.post(w.in("few"), "n\n1\n2\n3\n4\n", "Content-Type", "text/csv").problem(http.StatusRequestEntityTooLarge, "too_many_items").says("3")
		w.noted(a).has("verdict", "refused", "reason", "too_many_items", "eventCount", "0")
		w.nobody.post(w.in("few"), "n\n1\n2\n3\n", "Content-Type", "text/csv").want(http.StatusAccepted).has("events", "3")
		if r.Wait(3); len(r.Received()) != 3 {
			w.t.Errorf("the action ran %d times", len(r.Received()))
		}
	},
	"one broken row refuses all, or is left out": func(w *world) {
		r := w.sink("a")
		const body = "a,b\n1,2\n1,2,3\n4,5\n"
		for _, code := range []string{"refuse", "skip"} {
			w.door(code, doc{"parser": doc{"type": "csv", "onItemError": code}, "routes": to("a")})
		}
		a := w.nobody.post(w.in("refuse"), body, "Content-Type", "text/csv").problem(http.StatusBadRequest, "malformed_body")
		w.noted(a).has("body", body)
		n := w.noted(w.nobody.post(w.in("skip"), body, "Content-Type", "text/csv").want(http.StatusAccepted).has("events", "2"))
		if got := check(n, "item"); !strings.HasPrefix(got, "skipped") || !strings.Contains(got, "3") {
			w.t.Errorf("the row left out is on record as %q", got)
		}
		if r.Wait(2); len(r.Received()) != 2 {
			w.t.Errorf("the action ran %d times", len(r.Received()))
		}
	},
})
