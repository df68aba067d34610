package send_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"sallyport/internal/hook"
	"sallyport/internal/send"
)

// The record is held against the bytes that a bare TCP listener sees.
func TestWireForm(t *testing.T) {
	t.Parallel()
	url, requests := answers(t, "HTTP/1.1 204 No Content\r\n\r\n", nil)
	s := sender(t)
	for _, m := range []string{"POST", "GET", "DELETE"} {
		w := webhook(url+"/hooks", method(m), func(w *hook.Webhook) {
			w.Profile = "etlworks"
			w.Headers = []hook.Header{{Name: "x-lower-CASE", Value: "kept"}, {Name: "X-Twice", Value: "1"}, {Name: "X-Twice", Value: "2"}}
		})
		e := event()
		e.EntityURL = "https://app.example.com/é"
		a := s.Send(t.Context(), w, e, hook.Delivery{ID: ids.New()}, 2, hook.TriggerRetry)
		want(t, a, hook.OutcomeSucceeded, hook.ClassNone)
		var b strings.Builder
		b.WriteString(m + " /hooks HTTP/1.1\r\n")
		for _, f := range a.Request.Headers {
			b.WriteString(f.Name + ": " + f.Value + "\r\n")
		}
		b.WriteString("\r\n")
		b.Write(a.Request.Body.Bytes)
		got := requests()
		if len(got) != 1 || got[0] != b.String() {
			t.Errorf("on the wire:\n%q\nrecorded:\n%q", got, b.String())
		}
		if !strings.Contains(got[0], "\r\nX-Etl-Webhook-Entity-URL: https://app.example.com/%C3%A9\r\n") || !strings.Contains(got[0], "\r\nx-lower-CASE: kept\r\n") {
			t.Errorf("header case: %s", got[0])
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	const kept, read = 1000, 10_000
	var size atomic.Int64
	var declare atomic.Bool
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		body := bytes.Repeat([]byte("x"), int(size.Load()))
		if declare.Load() {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		} else {
			w.(http.Flusher).Flush() // chunked
		}
		w.Write(body)
	})
	s := sender(t, func(c *send.Config) { c.ResponseKept, c.ResponseRead = kept, read })
	for _, declared := range []bool{true, false} {
		declare.Store(declared)
		for _, n := range []int64{0, 1, kept - 1, kept, kept + 1, 5000, read - 1, read, read + 1, 100_000} {
			size.Store(n)
			a := attempt(t, s, webhook(url))
			want(t, a, hook.OutcomeSucceeded, "")
			b := a.Response.Body
			if int64(len(b.Bytes)) != min(n, kept) || b.Size != min(n, read) || b.Truncated != (n > kept) {
				t.Errorf("%d bytes (declared %v): kept %d, size %d, truncated %v", n, declared, len(b.Bytes), b.Size, b.Truncated)
			}
			sum := sha256.Sum256(bytes.Repeat([]byte("x"), int(min(n, read))))
			if b.Truncated && !bytes.Equal(b.SHA256, sum[:]) || !b.Truncated && b.SHA256 != nil {
				t.Errorf("%d bytes (declared %v): SHA-256 %x", n, declared, b.SHA256)
			}
		}
	}
}

func TestGzipBombStaysSmall(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		z.Write(zeros)
	}
	z.Close()
	asked := make(chan string, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Accept-Encoding")
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(bomb.Bytes())
	})
	a := attempt(t, sender(t), webhook(url))
	want(t, a, hook.OutcomeSucceeded, "")
	if got := <-asked; got != "" {
		t.Errorf("we asked for %q", got)
	}
	if b := a.Response.Body; b.Size != int64(bomb.Len()) || !bytes.Equal(b.Bytes, bomb.Bytes()[:len(b.Bytes)]) || len(b.Bytes) > 64<<10 {
		t.Errorf("kept %d bytes of %d, read %d", len(b.Bytes), bomb.Len(), b.Size)
	}
}

func TestLongRequestsAreKeptInPart(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	s := sender(t, func(c *send.Config) { c.RequestKept = 1000 })
	w := webhook(url)
	e := event()
	e.Entity = []byte(`"` + strings.Repeat("x", 5000) + `"`)
	a := s.Send(t.Context(), w, e, hook.Delivery{ID: ids.New()}, 1, hook.TriggerFirst)
	want(t, a, hook.OutcomeSucceeded, "")
	b := a.Request.Body
	if len(b.Bytes) != 1000 || b.Size < 5000 || !b.Truncated || len(b.SHA256) != 32 || a.Request.EntityAt != -1 {
		t.Errorf("kept %d of %d, truncated %v, entity at %d", len(b.Bytes), b.Size, b.Truncated, a.Request.EntityAt)
	}
}

func TestSecretsAreNotRecorded(t *testing.T) {
	t.Parallel()
	planted := []string{secret, "hunter22", "tok-5f2a9c", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		// A receiver that echoes all it knows.
		_, password, _ := r.BasicAuth()
		w.Header().Set("X-Echo", r.Header.Get("X-Api-Key"))
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, r.Header, password, " ", strings.Join(planted, " "), " ", r.Header.Get("Authorization"))
	})
	w := webhook(url, func(w *hook.Webhook) {
		w.BasicAuth = &hook.BasicAuth{Username: "erp", Password: "hunter22"}
		w.Headers = []hook.Header{{Name: "X-Api-Key", Value: "Key tok-5f2a9c", Secret: true}, {Name: "X-Open", Value: "open"}}
		w.Secrets = append(w.Secrets, hook.Secret{Value: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	})
	a := attempt(t, sender(t), w)
	want(t, a, hook.OutcomeFailed, hook.ClassStatus)
	text := fmt.Sprintf("%+v %+v %s %s %s", a.Request.Headers, a.Response.Headers, a.Request.Body.Bytes, a.Response.Body.Bytes, a.Error)
	for _, s := range append(planted, "ZXJwOmh1bnRlcjIy") {
		if strings.Contains(text, s) {
			t.Errorf("%q is in the record: %s", s, text)
		}
	}
	for _, name := range []string{"Authorization", "X-Api-Key"} {
		if f, ok := header(a.Request.Headers, name); !ok || !f.Redacted || f.Value != "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f, _ := header(a.Request.Headers, "X-Open"); f.Value != "open" {
		t.Errorf("X-Open: %+v", f)
	}
	if !strings.Contains(string(a.Response.Body.Bytes), "[redacted]") {
		t.Errorf("body: %s", a.Response.Body.Bytes)
	}
}

func TestSecretAcrossTheEndOfWhatIsKept(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 90)+secret+strings.Repeat("y", 500))
	})
	a := attempt(t, sender(t, func(c *send.Config) { c.ResponseKept = 100 }), webhook(url))
	if got := string(a.Response.Body.Bytes); strings.Contains(got, secret[:5]) || len(got) > 100 || !a.Response.Body.Truncated {
		t.Errorf("kept %q", got)
	}
}

// Databases take text only; a receiver sends what it likes.
func TestRecordsAreText(t *testing.T) {
	t.Parallel()
	url, _ := answers(t, "HTTP/1.1 500 No\r\nX-Latin: caf\xe9\r\nContent-Length: 3\r\n\r\n\xff\x00\xe9", nil)
	a := attempt(t, sender(t), webhook(url))
	if f, _ := header(a.Response.Headers, "X-Latin"); f.Value != "caf\uFFFD" {
		t.Errorf("X-Latin: %q", f.Value)
	}
	if got := string(a.Response.Body.Bytes); got != "\xff\x00\xe9" {
		t.Errorf("body %q", got)
	}
	url, _ = answers(t, "\xff\x00"+strings.Repeat("é", 600)+"\r\n\r\n", func(net.Conn) {})
	a = attempt(t, sender(t), webhook(url))
	if !utf8.ValidString(a.Error) || strings.ContainsRune(a.Error, 0) || len(a.Error) > 600 {
		t.Errorf("error %q", a.Error)
	}
}
