package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

var _ = suite("unasked", map[string]func(*world){
	"what a receiver sends beyond its answer is in no log": func(w *world) {
		token := w.planted.given("unasked-token-" + random(16))
		marker := "unasked-" + random(8)
		at := w.serveRaw(func(conn net.Conn, r *http.Request) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"+marker+" "+r.Header.Get("X-Token"))
		})
		w.admin.post("/v1/webhooks", doc{"code": "unasked", "url": at, "headers": []doc{{"name": "X-Token", "value": token}}}).want(http.StatusCreated)
		w.deliver(doc{"type": "a.b"}, "succeeded").has("attempts.0.response.body", "ok")
		eventually(w.t, "net/http to wonder", func() bool { return strings.Contains(w.said(), "Unsolicited response") })
		for line := range strings.Lines(w.said()) {
			if strings.HasSuffix(line, "\n") && !json.Valid([]byte(line)) {
				w.t.Errorf("a line of the log is not JSON: %s", line)
			}
			if strings.Contains(line, marker) {
				w.t.Errorf("what the receiver sent is in the log: %s", line)
			}
		}
	},
})

// serveRaw starts a receiver that answers each request with whatever bytes answer writes, until
// the test ends. It returns its URL.
func (w *world) serveRaw(answer func(conn net.Conn, r *http.Request)) string {
	w.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	var open sync.WaitGroup
	ended := make(chan struct{})
	w.t.Cleanup(func() {
		listener.Close()
		close(ended)
		open.Wait()
	})
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				open.Go(func() { <-ended; conn.Close() }) // the sender keeps it open
				requests := bufio.NewReader(conn)
				for {
					r, err := http.ReadRequest(requests)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						return
					}
					answer(conn, r)
				}
			})
		}
	})
	return "http://" + listener.Addr().String() + "/"
}
