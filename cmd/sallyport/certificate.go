package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// certificate is the pair of TLS files, read again when they have changed: renewals need no
// restart.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	seen   [2]stamp  // of the files when they were last looked at
	looked time.Time // when that was
}

// stamp tells a changed file from the same one.
type stamp struct {
	at   time.Time
	size int64
}

// lookEvery is how often handshakes look at the files.
const lookEvery = time.Second

// loadCertificate fails if the files are no pair.
func loadCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	c := &certificate{cert: cert, key: key, log: log}
	seen, err := c.stamps()
	if err != nil {
		return nil, err
	}
	return c, c.load(seen)
}

func (c *certificate) stamps() (s [2]stamp, err error) {
	for i, path := range []string{c.cert, c.key} {
		info, e := os.Stat(path)
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		s[i] = stamp{info.ModTime(), info.Size()}
	}
	return s, err
}

func (c *certificate) load(seen [2]stamp) error {
	c.seen, c.looked = seen, time.Now()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err == nil {
		c.now = &pair
	}
	return err
}

// get is for tls.Config. A file that cannot be read, or is half of a renewal, is looked at
// again at the next handshake after a second; until then the certificate that was stays.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= lookEvery {
		c.renew()
	}
	return c.now, nil
}

// renew reads the files if they have changed.
func (c *certificate) renew() {
	seen, err := c.stamps()
	if err == nil && seen == c.seen {
		c.looked = time.Now()
		return
	}
	before := c.seen
	if err == nil {
		err = c.load(seen)
	}
	c.looked = time.Now()
	if err != nil {
		c.seen = before
		c.log.Error("certificate.not_renewed", "error", err)
		return
	}
	c.log.Info("certificate.renewed", "not_after", c.now.Leaf.NotAfter)
}

// onHangup renews at SIGHUP until ctx ends.
func onHangup(ctx context.Context, c *certificate) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangups)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				c.mu.Lock()
				c.renew()
				c.mu.Unlock()
			}
		}
	}()
}
