package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"sallyport/api"
)

func TestPublicListenerServesNoAPI(t *testing.T) {
	t.Parallel()
	w := newWorld()
	s, err := api.New(api.Options{}, api.Services{Gate: w})
	if err != nil {
		t.Fatal(err)
	}
	if a := setup(t).do(t, "", "HEAD", "/readyz", ""); a.StatusCode != http.StatusOK || a.Header.Get("X-Request-Id") == "" {
		t.Errorf("HEAD /readyz: %d", a.StatusCode)
	}
	for path, want := range map[string]int{"/healthz": 200, "/v1/info": 404, "/metrics": 404, "/docs": 404} {
		if got := get(t, s.Public(), path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestMetricsAreNotForEverybody(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if a := s.do(t, "", "GET", "/metrics", "", "X-Forwarded-For", "203.0.113.9"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("through a proxy, without a key: %d", a.StatusCode)
	}
	if a := s.do(t, "viewer", "GET", "/metrics", "", "X-Forwarded-For", "203.0.113.9"); a.StatusCode != http.StatusForbidden {
		t.Errorf("with a workspace's key: %d", a.StatusCode)
	}
	if a := s.do(t, "platform-viewer", "GET", "/metrics", "", "X-Forwarded-For", "203.0.113.9"); a.StatusCode != http.StatusOK {
		t.Errorf("with a platform key: %d", a.StatusCode)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	s := setup(t, func(o *api.Options) {
		o.Ready = func(context.Context) error { return errors.New("dial planted") }
	})
	a := s.do(t, "", http.MethodGet, "/readyz", "")
	if a.StatusCode != http.StatusServiceUnavailable || strings.Contains(a.body, "planted") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}
