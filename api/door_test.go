package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// What a door is told of a call, and under which paths there are doors.
func TestDoorsAreCalled(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct {
		profile, workspace, code, url string
	}{
		"/in/erp-stock?a=1":                         {"default", "", "erp-stock", "https://hooks.example.com/in/erp-stock?a=1"},
		"/in/erp-stock/":                            {"default", "", "erp-stock", "https://hooks.example.com/in/erp-stock/"},
		"/w/acme/in/erp-stock":                      {"default", "acme", "erp-stock", "https://hooks.example.com/w/acme/in/erp-stock"},
		"/api/v1/webhook/erp-stock":                 {"alumio", "", "erp-stock", "https://hooks.example.com/api/v1/webhook/erp-stock"},
		"/w/acme/api/v1/webhook/erp-stock":          {"alumio", "acme", "erp-stock", "https://hooks.example.com/w/acme/api/v1/webhook/erp-stock"},
		"/?entryPoint=webhook&code=erp-sync&ref=7":  {"atrocore", "", "erp-sync", "https://hooks.example.com?entryPoint=webhook&code=erp-sync&ref=7"},
		"/w/acme?entryPoint=webhook&code=erp-sync":  {"atrocore", "acme", "erp-sync", "https://hooks.example.com/w/acme?entryPoint=webhook&code=erp-sync"},
		"/?entryPoint=webhook&code=a&code=erp-sync": {"atrocore", "", "erp-sync", "https://hooks.example.com?entryPoint=webhook&code=a&code=erp-sync"},
	} {
		s := setup(t)
		a := s.do(t, "", "POST", path, `{"n":1}`, "Sallyport-Hops", "3")
		if a.StatusCode != http.StatusAccepted || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %v", path, a.StatusCode, a.Header)
			continue
		}
		c := s.world.doorCalls[0]
		if c.Profile != want.profile || c.Workspace != want.workspace || c.Code != want.code || c.URL != want.url || c.Hops != 3 || c.ID.String() != a.Header.Get("X-Request-Id") {
			t.Errorf("%s: told %+v", path, c)
		}
	}
}

// What is no door is none below a workspace either.
func TestNoDoors(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for call, status := range map[string]int{
		"POST /w/acme/v1/events": 404, "GET /w/acme": 404, "GET /w/acme/": 404, "POST /": 405, "GET /": 200, "HEAD /": 200, "OPTIONS /in/x": 204, "GET /w/": 404,
	} {
		method, path, _ := strings.Cut(call, " ")
		if a := s.do(t, "", method, path, ""); a.StatusCode != status {
			t.Errorf("%s: %d", call, a.StatusCode)
		}
	}
	if n := len(s.world.doorCalls); n != 0 {
		t.Errorf("%d doors were called", n)
	}
}

// dial opens a connection to write on by hand.
func dial(t *testing.T, s *site) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	return c, bufio.NewReader(c)
}

// A chunked body beyond the limit is refused, not cut; one that never comes ends the wait; an
// upload that asks first is refused before it is sent.
func TestBodiesOfDoors(t *testing.T) {
	t.Parallel()
	read := func(limit int64, total time.Duration) func(*hook.DoorCall) hook.DoorAnswer {
		return func(c *hook.DoorCall) hook.DoorAnswer {
			body, err := c.Body.Read(context.Background(), limit, total)
			if err != nil {
				return hook.DoorAnswer{Problem: err}
			}
			return hook.DoorAnswer{Status: 200, Body: body}
		}
	}
	evidence := func(c *hook.DoorCall) hook.DoorAnswer {
		body, whole := c.Body.Evidence(4, 200*time.Millisecond)
		return hook.DoorAnswer{Status: 403, Body: fmt.Appendf(nil, "%s %v", body, whole)}
	}
	for name, c := range map[string]struct {
		answer func(*hook.DoorCall) hook.DoorAnswer
		send   string
		status int
		want   string
	}{
		"whole":                     {read(10, time.Second), "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"},
		"HTTP/1.0":                  {read(10, time.Second), "POST /in/x HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 200, "abc"},
		"chunked":                   {read(10, time.Second), "POST /in/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, "abcde"},
		"chunked beyond the limit":  {read(4, time.Second), "POST /in/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 413, "payload_too_large"},
		"declared beyond the limit": {read(4, time.Second), "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", 413, "payload_too_large"},
		"exactly the limit":         {read(5, time.Second), "POST /in/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", 200, "abcde"},
		"too slow":                  {read(10, 200*time.Millisecond), "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", 408, "body_timeout"},
		"evidence":                  {evidence, "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", 403, "abc true"},
		"evidence of a large one":   {evidence, "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabcdef", 403, "abcd false"},
		"evidence that is late":     {evidence, "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nab", 403, "ab false"},
		"asked first, and refused":  {evidence, "POST /in/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n", 403, " false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.world.doorAnswer = c.answer
			conn, r := dial(t, s)
			if _, err := io.WriteString(conn, c.send); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != c.status || !strings.Contains(string(body), c.want) {
				t.Errorf("%d %q, %v", answer.StatusCode, body, err)
			}
		})
	}
}

// What a door is told, and what its caller gets, besides bodies.
func TestHeadersOfDoors(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, status := range []int{http.StatusOK, http.StatusNoContent, http.StatusNotModified} {
		var host []string
		s.world.doorAnswer = func(c *hook.DoorCall) hook.DoorAnswer {
			host = c.Header["Host"]
			return hook.DoorAnswer{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte("{}")}
		}
		conn, r := dial(t, s)
		for range 2 { // the connection goes on: there was no body to wait for
			if _, err := io.WriteString(conn, "POST /in/x HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: 0\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != status || answer.Close {
				t.Fatalf("%d, closed %t, %v", answer.StatusCode, answer.Close, err)
			}
			_ = answer.Body.Close()
			if bodyless := status != http.StatusOK; bodyless != (len(body) == 0) || bodyless != (answer.Header.Get("Content-Type") == "") {
				t.Errorf("%d with the body %q of type %q", status, body, answer.Header.Get("Content-Type"))
			}
		}
		if len(host) != 1 || host[0] != "hooks.example.com" {
			t.Errorf("told the host %q", host)
		}
	}
}

// A connection serves the next call after a body was read with limits of its own.
func TestConnectionGoesOn(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.world.doorAnswer = func(c *hook.DoorCall) hook.DoorAnswer {
		if _, err := c.Body.Read(context.Background(), 10, 100*time.Millisecond); err != nil {
			return hook.DoorAnswer{Problem: err}
		}
		return hook.DoorAnswer{Status: 200, Body: []byte("ok")}
	}
	conn, r := dial(t, s)
	for range 3 {
		if _, err := io.WriteString(conn, "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(r, nil)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", answer, err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		time.Sleep(150 * time.Millisecond)
	}
}

// Bodies have so much memory together: who comes when it is taken is asked to come again,
// and finds room once others are done. Small bodies are read in any case.
func TestRoomForBodies(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.world.doorAnswer = func(c *hook.DoorCall) hook.DoorAnswer {
		if _, err := c.Body.Read(context.Background(), 100<<20, time.Minute); err != nil {
			return hook.DoorAnswer{Problem: err}
		}
		return hook.DoorAnswer{Status: 200, Body: []byte("ok")}
	}
	const large, small = "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n", "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
	const asks = "POST /in/x HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
	begin := func(text string) (net.Conn, *bufio.Reader) {
		conn, r := dial(t, s)
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return conn, r
	}
	status := func(r *bufio.Reader) (int, string) {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode, answer.Header.Get("Retry-After")
	}
	// Whoever is told to go on is being read, and has its room.
	first, firstAnswer := begin(asks)
	_, secondAnswer := begin(asks)
	for _, r := range []*bufio.Reader{firstAnswer, secondAnswer} {
		if got, _ := status(r); got != http.StatusContinue {
			t.Fatalf("a large body that asks first: %d", got)
		}
	}
	_, r := begin(large + "abc")
	if got, after := status(r); got != http.StatusServiceUnavailable || after == "" {
		t.Errorf("a third large body: %d, retry after %q", got, after)
	}
	_, r = begin(small)
	if got, _ := status(r); got != http.StatusOK {
		t.Errorf("a small body: %d", got)
	}
	if _, err := io.WriteString(first, "abc"); err != nil {
		t.Fatal(err)
	}
	if got, _ := status(firstAnswer); got != http.StatusOK {
		t.Errorf("the first large body: %d", got)
	}
	_, r = begin(large + "abc")
	if got, _ := status(r); got != http.StatusOK {
		t.Errorf("a large body once another is done: %d", got)
	}
}
