package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"sallyport/internal/config"
)

// benchResult are the figures of a run.
type benchResult struct {
	Engine            string  `json:"engine"`
	Webhooks          int     `json:"webhooks"`
	Publishers        int     `json:"publishers"`
	PayloadBytes      int     `json:"payloadBytes"`
	Seconds           float64 `json:"seconds"`     // of publishing
	LastArrival       float64 `json:"lastArrival"` // seconds after the start
	Accepted          int64   `json:"accepted"`
	Refused           int64   `json:"refused"`
	Delivered         int64   `json:"delivered"` // first arrivals
	Duplicates        int64   `json:"duplicates"`
	Lost              int64   `json:"lost"`
	AcceptedPerSecond float64 `json:"acceptedPerSecond"`
	// DeliveredPerSecond is over the whole time from the start to the last arrival.
	DeliveredPerSecond float64 `json:"deliveredPerSecond"`
	PublishP50         float64 `json:"publishP50Ms"`
	PublishP99         float64 `json:"publishP99Ms"`
	EndToEndP50        float64 `json:"endToEndP50Ms"`
	EndToEndP99        float64 `json:"endToEndP99Ms"`
	ServerCPU          float64 `json:"serverCpuUsPerDelivery"`
	PostgresCPU        float64 `json:"postgresCpuUsPerDelivery"`
	ServerMB           float64 `json:"serverPssMB"`
	PostgresMB         float64 `json:"postgresPssMB"`
}

// benchOut measures events published by the API and delivered to webhooks.
func benchOut(ctx context.Context, dir string, o benchOptions, cfg config.Config, p process) error {
	maxEvents := maxBenchRequests
	if o.rate > 0 {
		maxEvents = int(float64(o.rate)*o.duration.Seconds()*1.2) + 1000
	}
	seen, err := newArrivals(o.webhooks, maxEvents)
	if err != nil {
		return err
	}
	defer seen.close()

	server, err := startBenched(ctx, dir, o, cfg, p)
	if err != nil {
		return err
	}
	defer server.kill()
	for i := range o.webhooks {
		doc := map[string]any{"name": fmt.Sprintf("bench %d", i), "url": fmt.Sprintf("http://%s/%d", seen.addr(), i), "generateSecret": true}
		if err := server.call(ctx, "POST", "/v1/webhooks", doc); err != nil {
			return err
		}
	}

	load := newLoad(o, server.addr, 0, maxEvents)
	load.request = publishing(server, o.payload)
	before := server.usage()
	load.run(ctx, seen.started)
	seen.wait(ctx, load.accepted.Load()*int64(o.webhooks), o.patience)
	after := server.usage()

	r := load.result(o, seen)
	r.Engine = engineOf(cfg)
	if r.Delivered > 0 {
		r.ServerCPU = float64((after.server - before.server).Microseconds()) / float64(r.Delivered)
		r.PostgresCPU = float64((after.postgres - before.postgres).Microseconds()) / float64(r.Delivered)
	}
	r.ServerMB, r.PostgresMB = after.serverMB, after.postgresMB
	if err := server.stop(); err != nil {
		return err
	}
	if err := printBench(p.stdout, o, r); err != nil {
		return err
	}
	if r.Lost > 0 {
		return fmt.Errorf("%d accepted deliveries did not arrive", r.Lost)
	}
	return nil
}

// publishing writes requests that publish an event each, whose entityId is its number.
func publishing(server *benched, payload int) func() func(buf []byte, n int64) []byte {
	return func() func([]byte, int64) []byte {
		head := []byte("POST /v1/events HTTP/1.1\r\nHost: " + server.addr + "\r\nAuthorization: Bearer " + server.key +
			"\r\nContent-Type: application/json\r\nContent-Length: ")
		filler := bytes.Repeat([]byte("x"), max(0, payload-len(`{"text":""}`)))
		var body []byte
		return func(buf []byte, n int64) []byte {
			body = append(body[:0], `{"type":"bench.event","entityId":`...)
			body = strconv.AppendInt(body, n, 10)
			body = append(body, `,"entity":{"text":"`...)
			body = append(body, filler...)
			body = append(body, `"}}`...)
			buf = append(buf, head...)
			buf = strconv.AppendInt(buf, int64(len(body)), 10)
			buf = append(buf, "\r\n\r\n"...)
			return append(buf, body...)
		}
	}
}

func printBench(w io.Writer, o benchOptions, r benchResult) error {
	if o.json {
		return json.NewEncoder(w).Encode(r)
	}
	mode := "closed loop"
	if o.rate > 0 {
		mode = fmt.Sprintf("%d events/s", o.rate)
	}
	_, err := fmt.Fprintf(w, `%s, %d webhooks per event, %d publishers (%s), %d bytes
  accepted    %d events in %.1f s = %.0f/s   refused %d
  delivered   %d in %.1f s = %.0f/s   lost %d   duplicates %d
  publish     p50 %.2f ms   p99 %.2f ms
  end to end  p50 %.2f ms   p99 %.2f ms
  CPU         server %.0f us, postgres %.0f us per delivery
  memory      server %.0f MB, postgres %.0f MB (PSS)
`, r.Engine, r.Webhooks, r.Publishers, mode, r.PayloadBytes, r.Accepted, r.Seconds, r.AcceptedPerSecond, r.Refused,
		r.Delivered, r.LastArrival, r.DeliveredPerSecond, r.Lost, r.Duplicates, r.PublishP50, r.PublishP99, r.EndToEndP50, r.EndToEndP99,
		r.ServerCPU, r.PostgresCPU, r.ServerMB, r.PostgresMB)
	return err
}

// result works the figures out.
func (l *load) result(o benchOptions, seen *arrivals) benchResult {
	r := benchResult{
		Webhooks: o.webhooks, Publishers: o.publishers, PayloadBytes: o.payload, Seconds: l.ended.Sub(l.started).Seconds(),
		Accepted: l.accepted.Load(), Refused: l.refused.Load(), Delivered: seen.first.Load(), Duplicates: seen.again.Load(),
	}
	r.Lost = max(0, r.Accepted*int64(o.webhooks)-r.Delivered)
	last, endToEnd := l.endToEnd(seen)
	r.LastArrival = max(0, time.Duration(last)-l.started.Sub(seen.started)).Seconds()
	r.AcceptedPerSecond = float64(r.Accepted) / r.Seconds
	if len(endToEnd) > 0 {
		r.DeliveredPerSecond = float64(r.Delivered) / r.LastArrival
	}
	r.PublishP50, r.PublishP99 = l.quantile(0.5), l.quantile(0.99)
	r.EndToEndP50, r.EndToEndP99 = quantile(endToEnd, 0.5), quantile(endToEnd, 0.99)
	return r
}
