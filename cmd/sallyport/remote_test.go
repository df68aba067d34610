package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhereTheKeyIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	inData, given, flagged := file("admin.key", "of-the-data-directory\n"), file("given", "of-the-variable\n"), file("flagged", "of-the-flag\n")
	for why, c := range map[string]struct {
		flags   remoteFlags
		environ []string
		key     string
		wrong   string
	}{
		"data directory":           {environ: []string{"SALLYPORT_DATA_DIR=" + dir}, key: "of-the-data-directory"},
		"file of a variable":       {environ: []string{"SALLYPORT_DATA_DIR=" + dir, "SALLYPORT_KEY_FILE=" + given}, key: "of-the-variable"},
		"variable":                 {environ: []string{"SALLYPORT_DATA_DIR=" + dir, "SALLYPORT_KEY=k"}, key: "k"},
		"flag":                     {flags: remoteFlags{keyFile: flagged}, environ: []string{"SALLYPORT_KEY=k", "SALLYPORT_KEY_FILE=" + given}, key: "of-the-flag"},
		"empty counts as not set":  {environ: []string{"SALLYPORT_DATA_DIR=" + dir, "SALLYPORT_KEY=", "SALLYPORT_KEY_FILE="}, key: "of-the-data-directory"},
		"both variables":           {environ: []string{"SALLYPORT_KEY=k", "SALLYPORT_KEY_FILE=" + given}, wrong: "which one?"},
		"nowhere":                  {environ: []string{"SALLYPORT_DATA_DIR=" + filepath.Join(dir, "none")}, wrong: "set SALLYPORT_KEY or SALLYPORT_KEY_FILE"},
		"a file that is not there": {environ: []string{"SALLYPORT_KEY_FILE=" + inData + "x"}, wrong: "no such file"},
		"an empty file":            {environ: []string{"SALLYPORT_KEY_FILE=" + file("empty", "\n")}, wrong: "is empty"},
		"a file with other things": {environ: []string{"SALLYPORT_KEY_FILE=" + file("page", "KEY=sp_abc\nOTHER=1\n")}, wrong: "something else than an API key"},
		"an address without http":  {flags: remoteFlags{url: "localhost:8080"}, environ: []string{"SALLYPORT_KEY=k"}, wrong: "--url must be such as"},
		"an address with a user":   {environ: []string{"SALLYPORT_KEY=k", "SALLYPORT_URL=https://a:b@c"}, wrong: "SALLYPORT_URL must be such as"},
	} {
		r, err := c.flags.open(process{environ: c.environ})
		if c.wrong != "" {
			var coded *codedError
			if err == nil || !strings.Contains(err.Error(), c.wrong) || !errors.As(err, &coded) || coded.code != exitUsage {
				t.Errorf("%s: %v", why, err)
			}
			continue
		}
		if err != nil || string(r.key) != c.key {
			t.Errorf("%s: key of %v, %v", why, r, err)
		}
	}
}

// serveRemote answers calls with a function, and returns who calls it.
func serveRemote(t *testing.T, answer http.HandlerFunc) *remote {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	flags := remoteFlags{url: server.URL + "/below/", workspace: "acme"}
	r, err := flags.open(process{environ: []string{"SALLYPORT_KEY=the-key"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.client.CloseIdleConnections)
	return r
}

func TestRemoteCalls(t *testing.T) {
	t.Parallel()
	busy := 2
	r := serveRemote(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Authorization") != "Bearer the-key" || q.Header.Get("Sallyport-Workspace") != "acme" || !strings.HasPrefix(q.URL.Path, "/below/v1/") {
			t.Errorf("called %s with %v", q.URL, q.Header)
		}
		if busy--; busy >= 0 {
			w.Header().Set("Retry-After", "0")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"code":"rate_limited","detail":"slowly"}`))
			return
		}
		_, _ = w.Write([]byte(`{"role":"admin"}`))
	})
	var info struct{ Role string }
	if _, err := r.json(t.Context(), remoteRequest{method: "GET", path: "/v1/info"}, &info); err != nil || info.Role != "admin" {
		t.Errorf("%+v, %v", info, err)
	}
	// What may have done something is not done twice.
	busy = 1
	var problem *problemError
	if _, err := r.json(t.Context(), remoteRequest{method: "POST", path: "/v1/webhooks", body: []byte(`{}`)}, nil); !errors.As(err, &problem) || problem.Code != "rate_limited" {
		t.Errorf("a POST: %v", err)
	}
}

func TestWhatTheRemoteSaysInstead(t *testing.T) {
	t.Parallel()
	for want, answer := range map[string]http.HandlerFunc{
		`PUT /v1/webhooks/a: 422 validation_failed: 1 field is wrong` + "\n" + `  retry.schedule[2]: "5 min" is not a duration (invalid_duration)`: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = w.Write([]byte(`{"status":422,"code":"validation_failed","detail":"1 field is wrong","errors":[{"pointer":"/retry/schedule/2","field":"retry.schedule[2]","code":"invalid_duration","detail":"\"5 min\" is not a duration"}]}`))
		},
		"the key is from SALLYPORT_KEY": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"code":"unauthorized","title":"An API key is needed"}`))
		},
		"request id 0199, which the server's log has": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"code":"internal","title":"Something went wrong here","requestId":"0199"}`))
		},
		"502 Bad Gateway and no problem document": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>", http.StatusBadGateway)
		},
		`redirects to "https://elsewhere.example/"`: func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "https://elsewhere.example/", http.StatusMovedPermanently)
		},
		"answers something else than JSON (invalid character": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"answers something else than JSON (unexpected end":    func(http.ResponseWriter, *http.Request) {},
	} {
		r := serveRemote(t, answer)
		var into map[string]any
		_, err := r.json(t.Context(), remoteRequest{method: "PUT", path: "/v1/webhooks/a?dryRun=true", body: []byte(`{}`)}, &into)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "the-key") {
			t.Errorf("%v\nhas not %q", err, want)
		}
	}
}

func TestNobodyIsThere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	server.Close()
	flags := remoteFlags{url: server.URL}
	r, err := flags.open(process{environ: []string{"SALLYPORT_KEY=k"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.json(t.Context(), remoteRequest{method: "GET", path: "/v1/info"}, nil); err == nil || !strings.Contains(err.Error(), "cannot reach "+server.URL+": ") || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.json(ctx, remoteRequest{method: "GET", path: "/v1/info"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
