package e2e

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func gzipped(t *testing.T, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var _ = suite("bodies of doors", map[string]func(*world){
	"more than the cap is refused and not cut, chunked or not": func(w *world) {
		r := w.sink("a")
		w.door("small", doc{"maxBodyBytes": 100, "parser": doc{"type": "text"}, "routes": to("a")})
		fits := strings.Repeat("x", 100)
		chunked := func(body string) *answer {
			lines := []string{"POST " + w.in("small") + " HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Content-Type: text/plain"}
			var chunks strings.Builder
			for part := range strings.SplitSeq(strings.TrimSuffix(strings.Repeat(body[:10]+",", len(body)/10), ","), ",") {
				chunks.WriteString(strconv.FormatInt(int64(len(part)), 16) + "\r\n" + part + "\r\n")
			}
			if rest := body[len(body)/10*10:]; rest != "" {
				chunks.WriteString(strconv.FormatInt(int64(len(rest)), 16) + "\r\n" + rest + "\r\n")
			}
			return w.raw(lines, chunks.String()+"0\r\n\r\n")
		}
		chunked(fits).want(http.StatusAccepted)
		w.nobody.post(w.in("small"), fits, "Content-Type", "text/plain").want(http.StatusAccepted)
		for _, a := range []*answer{
			chunked(fits + "y"), chunked(strings.Repeat(fits, 50)), w.nobody.post(w.in("small"), fits+"y", "Content-Type", "text/plain"),
		} {
			a.problem(http.StatusRequestEntityTooLarge, "payload_too_large").says("100")
			w.noted(a).has("verdict", "refused", "reason", "payload_too_large", "eventCount", "0")
		}
		for _, got := range bodies(r.Wait(2)) {
			if !strings.Contains(got, `"`+fits+`"`) && got != fits {
				w.t.Errorf("the action got %s", got)
			}
		}
		if len(r.Received()) != 2 {
			w.t.Errorf("the action ran %d times", len(r.Received()))
		}
	},
	"bytes that are no text come back as they came": func(w *world) {
		body := []byte("caf\xe9\x00\xff\xfe{")
		w.door("binary", doc{"parser": doc{"type": "binary"}})
		w.door("text", doc{"parser": doc{"type": "text", "encoding": "windows-1252"}})
		w.door("json", doc{"parser": doc{"type": "json"}})
		for _, code := range []string{"binary", "text", "json"} {
			a := w.nobody.post(w.in(code), body, "Content-Type", "application/octet-stream")
			if code == "json" {
				a.problem(http.StatusBadRequest, "malformed_body")
			} else {
				a.want(http.StatusAccepted)
			}
			n := w.noted(a).has("bodyEncoding", "base64", "bodyBytes", strconv.Itoa(len(body)), "bodyTruncated", "false")
			raw := w.viewer.get("/v1/requests/"+n.text("id")+"/body").want(http.StatusOK).
				heads("Content-Type", "application/octet-stream", "X-Content-Type-Options", "nosniff", "Sallyport-Body-Truncated", "false")
			if !bytes.Equal(raw.body, body) || !strings.HasPrefix(raw.header.Get("Content-Disposition"), "attachment") {
				w.t.Errorf("%s: %q as %s", code, raw.body, raw.header.Get("Content-Disposition"))
			}
		}
	},
	"compressed bodies, bombs and codings nobody knows": func(w *world) {
		r := w.sink("a")
		w.door("zip", doc{"maxBodyBytes": 100_000, "routes": to("a")})
		plain := []byte(`{"text":"` + strings.Repeat("a", 50_000) + `"}`)
		w.nobody.post(w.in("zip"), gzipped(w.t, plain), "Content-Encoding", "gzip").want(http.StatusAccepted)
		if got := r.Wait(1)[0]; !bytes.Equal(got.Body, plain) {
			w.t.Errorf("the action got %d bytes", len(got.Body))
		}
		bomb := gzipped(w.t, make([]byte, 20<<20))
		if len(bomb) > 100_000 {
			w.t.Fatalf("the bomb has %d bytes", len(bomb))
		}
		w.nobody.post(w.in("zip"), bomb, "Content-Encoding", "gzip").problem(http.StatusRequestEntityTooLarge, "payload_too_large")
		w.nobody.post(w.in("zip"), gzipped(w.t, bomb), "Content-Encoding", "gzip, gzip").problem(http.StatusUnsupportedMediaType, "unsupported_encoding")
		for _, coding := range []string{"zstd", "br", "x"} {
			w.nobody.post(w.in("zip"), "{}", "Content-Encoding", coding).problem(http.StatusUnsupportedMediaType, "unsupported_encoding").says(coding)
		}
		a := w.nobody.post(w.in("zip"), "no gzip", "Content-Encoding", "gzip").problem(http.StatusBadRequest, "malformed_body")
		w.noted(a).has("reason", "malformed_body", "body", "no gzip")
		w.nobody.post(w.in("zip"), "{}", "Content-Encoding", "identity").want(http.StatusAccepted)
	},
	"who is refused anyway is not asked for the body": func(w *world) {
		w.door("far", doc{"ipAllowList": []string{"203.0.113.7"}})
		w.door("near", nil)
		head := func(code string) []string {
			return []string{"POST " + w.in(code) + " HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 500000"}
		}
		// Nothing follows, and the answer comes at once. Else it would say 100 first.
		w.raw(head("far"), "").problem(http.StatusForbidden, "ip_not_allowed")
		w.raw(head("none"), "").problem(http.StatusNotFound, "not_found")
		asked := w.dial().send(strings.Join(head("near"), "\r\n") + "\r\n\r\n")
		if line, err := asked.in.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			w.t.Errorf("who may call is told %q: %v", line, err)
		}
		// More than the cap is refused before it is sent.
		w.raw([]string{"POST " + w.in("near") + " HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 1048577"}, "").
			problem(http.StatusRequestEntityTooLarge, "payload_too_large")
	},
	"a body that drips": func(w *world) {
		w.door("slow", doc{"bodyTimeout": "1s"})
		began := time.Now()
		x := w.dial().send("POST " + w.in("slow") + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
		stop := make(chan struct{})
		go func() { // for longer than anybody here waits for an answer
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
					_, _ = x.conn.Write([]byte("x"))
				}
			}
		}()
		a := x.answer().problem(http.StatusRequestTimeout, "body_timeout")
		close(stop)
		if took := time.Since(began); took < 900*time.Millisecond {
			w.t.Errorf("it was waited for %s", took)
		}
		w.noted(a).has("verdict", "refused", "reason", "body_timeout", "response.status", "408", "bodyTruncated", "true")
		// What ends too early is no body.
		y := w.dial().send("POST " + w.in("slow") + " HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nshort")
		if err := y.conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			w.t.Fatal(err)
		}
		y.answer().problem(http.StatusBadRequest, "malformed_body")
	},
	"headers that are there twice": func(w *world) {
		secret := w.planted.given("twice-" + random(20))
		w.door("twice", doc{"hash": secret, "hashIn": doc{"in": "header", "name": "X-Hash"}})
		post := func(headers ...string) *answer {
			return w.raw(append([]string{"POST " + w.in("twice") + " HTTP/1.1", "Host: a", "Content-Length: 2"}, headers...), "{}")
		}
		n := w.noted(post("X-Hash: "+secret, "X-Both: one", "X-Both: two").want(http.StatusAccepted))
		var both []string
		for i := range n.at("headers").([]any) {
			if at := "headers." + strconv.Itoa(i); n.text(at+".name") == "X-Both" {
				both = append(both, n.text(at+".value"))
			}
		}
		if strings.Join(both, ",") != "one,two" {
			w.t.Errorf("on record are %v", both)
		}
		post("X-Hash: "+secret, "X-Hash: "+secret).problem(http.StatusForbidden, "hash_missing")
		post("X-Hash: wrong", "X-Hash: "+secret).problem(http.StatusForbidden, "hash_missing")
		post().problem(http.StatusForbidden, "hash_missing")
	},
})
