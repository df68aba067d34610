package send_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/send"
)

// fastReceiver answers every request with 200 at next to no cost, so that what is measured
// is the client.
func fastReceiver(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { listener.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 20:56:59 GMT\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReaderSize(conn, 8192)
				for {
					length := 0
					for {
						line, err := r.ReadSlice('\n')
						if err != nil {
							return
						}
						if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
							for _, c := range bytes.TrimSpace(n) {
								length = length*10 + int(c-'0')
							}
						}
						if len(line) == 2 {
							break
						}
					}
					if _, err := r.Discard(length); err != nil {
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + listener.Addr().String() + "/hooks"
}

// exchange is one way to make one delivery.
type exchange struct {
	name string
	do   func(testing.TB)
}

func exchanges(b *testing.B) []exchange {
	url := fastReceiver(b)
	guard, err := send.NewGuard([]string{"127.0.0.0/8"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	s := send.New(send.Config{Guard: guard, IDs: ids, Node: "n1"})
	b.Cleanup(s.Close)
	w := webhook(url)
	e := event()
	e.Entity = []byte(`{"text":"` + strings.Repeat("x", 1000) + `"}`)
	d := hook.Delivery{ID: ids.New()}

	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	b.Cleanup(client.CloseIdleConnections)
	body := bytes.Repeat([]byte("x"), 1200)
	return []exchange{
		{"bare", func(tb testing.TB) {
			resp, err := client.Post(url, "application/json", bytes.NewReader(body))
			if err != nil {
				tb.Fatal(err)
			}
			if _, err := io.ReadAll(resp.Body); err != nil {
				tb.Fatal(err)
			}
			resp.Body.Close()
		}},
		{"send", func(tb testing.TB) {
			if a := s.Send(b.Context(), w, e, d, 1, hook.TriggerFirst); a.Outcome != hook.OutcomeSucceeded {
				tb.Fatal(a.Error)
			}
		}},
	}
}

// BenchmarkSend compares one attempt with a bare http.Client posting as many bytes without
// rendering, signing, timings or record.
func BenchmarkSend(b *testing.B) {
	for _, x := range exchanges(b) {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x.do(b)
			}
		})
		b.Run(x.name+"-parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					x.do(b)
				}
			})
		})
	}
}

// BenchmarkRatio reports how much longer an attempt takes than a bare request, both made in
// turns so that the machine's mood hits both.
func BenchmarkRatio(b *testing.B) {
	list := exchanges(b)
	var took [2]time.Duration
	for range b.N {
		for i, x := range list {
			began := time.Now()
			for range 50 {
				x.do(b)
			}
			took[i] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "send/bare")
	b.ReportMetric(0, "ns/op")
	b.Logf("bare %v, send %v", took[0]/time.Duration(50*b.N), took[1]/time.Duration(50*b.N))
}
