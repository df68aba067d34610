package store

import (
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// dialTimeout bounds connecting to one host of the URL, unless it says otherwise: one
	// whose machine is gone must not keep the next from being tried.
	dialTimeout = 5 * time.Second
	// deafTimeout is how long Postgres's machine may acknowledge nothing that was sent to it,
	// or no probe of an idle connection, before the connection is given up. A database that
	// is slow, or hangs, acknowledges: nothing that is under way there is given up for that.
	// But one whose machine died says nothing ever more, and the kernel would repeat itself
	// for a quarter of an hour, in which the only writer accepts nothing and stores no outcome.
	deafTimeout = 15 * time.Second
	// probeEvery is how often a silent connection is probed.
	probeEvery = 5 * time.Second
)

// dial has the connections of a pool notice that Postgres's machine is gone.
func dial(c *pgconn.Config) {
	d := &net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeEvery, Interval: probeEvery, Count: int(deafTimeout / probeEvery)},
		Control:         giveUpDeaf,
	}
	if c.ConnectTimeout > 0 {
		d.Timeout = c.ConnectTimeout
	}
	c.DialFunc = d.DialContext
}
