package faulttest

import (
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// A node without work hardly asks its database, and one without a database does not fill the
// log: other systems poll fifty times a second, and wrote millions of lines in half an hour.
func TestNodesAreQuiet(t *testing.T) {
	t.Parallel()
	const (
		watched = 5 * time.Second
		asks    = 40 // a second, at most
		lines   = 20 // a second, at most
	)
	p := intercept(t, testkit.EmptyPostgres(t))
	in := install(t, p.url)
	n := in.node()
	at := receive(t, nil)
	n.webhook("all", at.url, nil)
	n.publish(object{"type": "thing"})
	at.wait("the event arrived", func() bool { return len(at.of) == 1 })

	asked := 0
	p.cutting(func(string) cut { asked++; return pass }) // called under the proxy's lock
	began := time.Now()
	time.Sleep(watched) // what is counted happens by itself
	p.cutting(nil)
	took := time.Since(began) // on a busy machine it may be more
	t.Logf("%d statements in %s without work", asked, took)
	if most := asks * int(took.Seconds()); asked > most {
		t.Errorf("%d statements in %s without work, at most %d are expected", asked, took, most)
	}
	if asked == 0 {
		t.Error("nothing was counted")
	}

	before := n.written()
	began = time.Now()
	p.refuse(true)
	n.waitLog("node.beat", 1)
	time.Sleep(watched)
	p.refuse(false)
	during := n.written() - before
	took = time.Since(began)
	t.Logf("%d lines in %s without a database", during, took)
	if most := lines * int(took.Seconds()); during > most {
		t.Errorf("%d lines in %s without a database, at most %d are expected", during, took, most)
	}
	in.eventually("it accepts again", func() bool {
		status, _, err := call(adminKey, "POST", n.url+"/v1/events", object{"type": "thing"}, nil)
		return err == nil && status == 202
	})
}

// written is how many lines the process has logged.
func (p *process) written() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lines)
}
