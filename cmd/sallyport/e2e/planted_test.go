package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// planted remembers every secret of the suite: those that tests give away and those that the
// server makes.
type planted struct {
	mu     sync.Mutex
	values []string
	made   map[string]int // by the server: in how many answers that are no replays it showed
}

// given plants a secret that no answer, log line or row may ever show.
func (p *planted) given(secret string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.values, secret) {
		p.values = append(p.values, secret)
	}
	return secret
}

// all lists the secrets given, and those made with how often they showed.
func (p *planted) all() (given []string, made map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	made = map[string]int{}
	for v, n := range p.made {
		made[v] = n
	}
	return slices.Clone(p.values), made
}

// watch notes the secrets that answers bring: the members secret and key, shown once.
func (p *planted) watch(base http.RoundTripper) http.RoundTripper {
	return watcher{p, base}
}

type watcher struct {
	p    *planted
	base http.RoundTripper
}

func (w watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := w.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if err := res.Body.Close(); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	var shown struct{ Secret, Key string }
	if res.StatusCode < 300 && json.Unmarshal(body, &shown) == nil {
		if !strings.HasPrefix(r.URL.Path, "/v1/api-keys") {
			shown.Key = "" // where a record is
		}
		w.p.mu.Lock()
		defer w.p.mu.Unlock()
		for _, v := range []string{shown.Secret, shown.Key} {
			if v == "" {
				continue
			}
			if w.p.made == nil {
				w.p.made = map[string]int{}
			}
			w.p.made[v] += 0
			if res.Header.Get("Idempotent-Replayed") != "true" {
				w.p.made[v]++
			}
		}
	}
	return res, nil
}
