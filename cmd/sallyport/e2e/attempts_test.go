package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/testkit"
)

// sha is the lowercase hex SHA-256.
func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// lines are the headers of a request as it came over the wire, in order.
func lines(q testkit.Received) []string {
	return strings.Split(string(q.Head), "\r\n")[1:]
}

// recorded are the headers of an attempt's request, in order, as they would be on the wire; of
// the redacted ones only the name.
func recorded(a *answer, attempt string) (out []string) {
	list, _ := a.at(attempt + ".request.headers").([]any)
	for i := range list {
		at := attempt + ".request.headers." + strconv.Itoa(i)
		if a.text(at+".redacted") == "true" {
			out = append(out, a.text(at+".name"))
		} else {
			out = append(out, a.text(at+".name")+": "+a.text(at+".value"))
		}
	}
	return out
}

var _ = suite("attempts", map[string]func(*world){
	"the history has the request as the receiver saw it": func(w *world) {
		r := w.receiver()
		password, token := w.planted.given("evidence-password-"+random(12)), w.planted.given("evidence-token-"+random(12))
		binary := "\x00\xff\xfe binary " + random(8)
		r.Respond(testkit.Answer{Status: http.StatusCreated, Body: binary, Header: http.Header{"X-Answer": {"one", "two"}, "Content-Type": {"application/octet-stream"}}})
		w.webhook(r, doc{
			"url": r.URL + "/hooks?tenant=7", "secret": w.planted.given("evidence-secret-" + random(24)), "basicAuth": doc{"username": "erp", "password": password},
			"headers": []doc{{"name": "x-API-Token", "value": token}, {"name": "X-TEAM", "value": "erp, ops"}},
		})
		start := time.Now()
		a := w.deliver(doc{"type": "order.paid", "entityId": 7, "entity": doc{"total": 12}, "entityUrl": "https://shop.example/7"}, "succeeded")
		q := r.Wait(1)[0]
		if !strings.HasPrefix(string(q.Head), "POST /hooks?tenant=7 HTTP/1.1\r\n") {
			w.t.Errorf("the request begins %.80q", q.Head)
		}
		var want []string
		for _, line := range lines(q) {
			switch name, _, _ := strings.Cut(line, ":"); name {
			case "Authorization", "x-API-Token":
				want = append(want, name)
			default:
				want = append(want, line)
			}
		}
		if got := strings.Join(recorded(a, "attempts.0"), "\n"); got != strings.Join(want, "\n") {
			w.t.Errorf("recorded headers:\n%s\n\nreceived:\n%s", got, strings.Join(want, "\n"))
		}
		a.has(
			"attempts.0.request.method", "POST", "attempts.0.request.url", r.URL+"/hooks?tenant=7", "attempts.0.request.body", string(q.Body), "attempts.0.request.bodyEncoding", "utf8",
			"attempts.0.request.bodyBytes", strconv.Itoa(len(q.Body)), "attempts.0.request.bodyTruncated", "false", "attempts.0.request.bodySha256", sha(q.Body),
			"attempts.0.response.status", "201", "attempts.0.response.body", base64.StdEncoding.EncodeToString([]byte(binary)), "attempts.0.response.bodyEncoding", "base64",
			"attempts.0.response.bodyBytes", strconv.Itoa(len(binary)), "attempts.0.response.bodySha256", sha([]byte(binary)),
			"attempts.0.deliveryId", a.text("id"), "attempts.0.number", "1", "attempts.0.trigger", "first", "attempts.0.outcome", "succeeded", "attempts.0.error", "", "attempts.0.errorClass", "",
			"attempts.0.remoteAddress", r.Address(), "attempts.0.reusedConnection", "false", "lastAttempt.number", "1", "lastAttempt.status", "201",
		)
		if headers := a.text("attempts.0.response.headers"); !strings.Contains(headers, `{"name":"X-Answer","value":"one"},{"name":"X-Answer","value":"two"}`) {
			w.t.Errorf("the answer's headers are %s", headers)
		}
		if at, err := time.Parse(time.RFC3339, a.text("attempts.0.startedAt")); err != nil || at.Before(start.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
			w.t.Errorf("startedAt is %s", a.text("attempts.0.startedAt"))
		}
		for _, measured := range []string{"durationMs", "timings.totalMs", "timings.firstByteMs", "timings.connectMs"} {
			if ms, err := strconv.ParseFloat(a.text("attempts.0."+measured), 64); err != nil || ms <= 0 || ms > float64(time.Since(start).Milliseconds()+1) {
				w.t.Errorf("%s is %s", measured, a.text("attempts.0."+measured))
			}
		}
		// The raw bytes, by number and by id.
		for _, attempt := range []string{"1", a.text("attempts.0.id")} {
			for side, want := range map[string]string{"request": string(q.Body), "response": binary} {
				raw := w.viewer.get("/v1/deliveries/"+a.text("id")+"/attempts/"+attempt+"/"+side+"/body").want(http.StatusOK).
					heads("Content-Type", "application/octet-stream", "X-Content-Type-Options", "nosniff", "Sallyport-Body-Truncated", "false")
				if string(raw.body) != want || !strings.HasPrefix(raw.header.Get("Content-Disposition"), "attachment") {
					w.t.Errorf("%s: %q, %s", side, raw.body, raw.header.Get("Content-Disposition"))
				}
			}
		}
		for _, attempt := range []string{"0", "2", "last", "019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e"} {
			if b := w.viewer.get("/v1/deliveries/" + a.text("id") + "/attempts/" + attempt + "/request/body"); b.status != http.StatusNotFound && b.status != http.StatusBadRequest {
				w.t.Errorf("attempt %s: %d", attempt, b.status)
			}
		}
	},
	"the command sends the same request again": func(w *world) {
		r := w.receiver()
		password := w.planted.given("curl's \"password\" $HOME-" + random(12))
		w.webhook(r, doc{"basicAuth": doc{"username": "e'rp", "password": password}, "headers": []doc{{"name": "X-Quote", "value": `it's "$HOME"`}}})
		a := w.deliver(doc{"type": "order.paid", "entity": "it's \"$(id)\" `id` \\ \n é"}, "succeeded")
		command := a.text("attempts.0.curl")
		if strings.Contains(command, password) {
			w.t.Fatalf("the command has the password: %s", command)
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), patience)
		defer cancel()
		sh := exec.CommandContext(ctx, "bash", "-euc", command)
		sh.Env = append(sh.Environ(), "PASSWORD="+password)
		if said, err := sh.CombinedOutput(); err != nil {
			w.t.Fatalf("%s\n%v: %s", command, err, said)
		}
		all := r.Wait(2)
		if string(all[0].Body) != string(all[1].Body) || all[0].URL != all[1].URL || all[0].Method != all[1].Method {
			w.t.Errorf("the command sent %s %s\n%s", all[1].Method, all[1].URL, all[1].Body)
		}
		for name, values := range all[0].Header {
			if name == "Accept-Encoding" {
				continue // of the transport
			}
			if got := strings.Join(all[1].Header.Values(name), "|"); got != strings.Join(values, "|") {
				w.t.Errorf("the command sent %s: %q, not %q", name, got, values)
			}
		}
	},
	"what is kept of large bodies is their beginning": func(w *world) {
		r := w.receiver()
		back := strings.Repeat("0123456789abcdef", 8<<10) // 128 KiB
		r.Respond(testkit.Answer{Body: back})
		w.webhook(r, doc{})
		a := w.deliver(doc{"type": "a.b", "entity": strings.Repeat("x", 300<<10)}, "succeeded")
		q := r.Wait(1)[0]
		a.has(
			"attempts.0.request.bodyBytes", strconv.Itoa(len(q.Body)), "attempts.0.request.bodyTruncated", "true", "attempts.0.request.bodySha256", sha(q.Body), "attempts.0.request.body", string(q.Body[:256<<10]),
			"attempts.0.response.bodyBytes", strconv.Itoa(len(back)), "attempts.0.response.bodyTruncated", "true", "attempts.0.response.bodySha256", sha([]byte(back)), "attempts.0.response.body", back[:64<<10],
		)
		raw := w.viewer.get("/v1/deliveries/"+a.text("id")+"/attempts/1/response/body").want(http.StatusOK).heads("Sallyport-Body-Truncated", "true")
		if string(raw.body) != back[:64<<10] {
			w.t.Errorf("%d raw bytes were kept", len(raw.body))
		}
		// More than 1 MiB is not read at all.
		r.Respond(testkit.Answer{Body: strings.Repeat("y", 2<<20)})
		w.deliver(doc{"type": "a.b"}, "succeeded").has("attempts.0.response.bodyBytes", strconv.Itoa(1<<20), "attempts.0.response.bodyTruncated", "true")
	},
	"a receiver that echoes does not get secrets into the history": func(w *world) {
		r := w.receiver()
		secret, password, token := w.planted.given("echoed-secret-"+random(24)), w.planted.given("echoed-password-"+random(12)), w.planted.given("echoed-token-"+random(12))
		r.RespondFunc(func(q testkit.Received) testkit.Answer {
			_, got, _ := basicAuth(q.Header)
			return testkit.Answer{
				Status: http.StatusBadRequest, Body: "your secret " + secret + ", your password " + got + ", your headers " + string(q.Head),
				Header: http.Header{"X-Echo": {q.Header.Get("X-Token")}, "X-Basic": {q.Header.Get("Authorization")}},
			}
		})
		w.webhook(r, doc{"code": "echo", "maxAttempts": 1, "secret": secret, "basicAuth": doc{"username": "erp", "password": password}, "headers": []doc{{"name": "X-Token", "value": token}}})
		a := w.deliver(doc{"type": "a.b"}, "failed")
		raw := w.viewer.get("/v1/deliveries/" + a.text("id") + "/attempts/1/response/body").want(http.StatusOK)
		test := w.operator.post("/v1/webhooks/echo/test", nil).want(http.StatusOK)
		for _, hidden := range []string{secret, password, token, base64.StdEncoding.EncodeToString([]byte("erp:" + password))} {
			if strings.Contains(string(a.body), hidden) || strings.Contains(string(raw.body), hidden) || strings.Contains(string(test.body), hidden) {
				w.t.Errorf("the history shows %q", hidden)
			}
		}
		if !strings.Contains(string(raw.body), "your secret [redacted], your password [redacted]") {
			w.t.Errorf("the answer is kept as %s", raw.body)
		}
	},
})
