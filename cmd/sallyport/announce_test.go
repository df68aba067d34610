package main

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/obs"
)

func firstStart() started {
	return started{
		url: "http://localhost:8080", engine: "sqlite", database: "./data/sallyport.db", state: "new, schema 1",
		sends: "public addresses only", key: "sp_planted", keyFile: "data/admin.key", vaultFile: "data/encryption.key",
	}
}

func TestBanner(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	firstStart().banner(&out)
	for _, want := range []string{
		"sallyport " + version + "\n", "listening   http://localhost:8080 ", "docs http://localhost:8080/docs", "contract http://localhost:8080/openapi.yaml",
		"database    sqlite ./data/sallyport.db (new, schema 1)", "sends to    public addresses only",
		"admin key   sp_planted (new; also in data/admin.key)", "data/encryption.key", "Five minutes",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// Logs are shipped to places where many read them.
func TestKeyIsNotLogged(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	firstStart().log(obs.Logger(&out, 0, true))
	if log := out.String(); strings.Contains(log, "sp_planted") || !strings.Contains(log, `"file":"data/admin.key"`) || !strings.Contains(log, `"url":"http://localhost:8080"`) {
		t.Errorf("logged:\n%s", log)
	}
}

func TestLogFormat(t *testing.T) {
	t.Parallel()
	for why, c := range map[string]struct {
		format config.LogFormat
		json   bool
	}{
		"not a terminal": {"", true},
		"text asked for": {config.LogText, false},
		"JSON asked for": {config.LogJSON, true},
	} {
		var out bytes.Buffer
		newLogger(config.Config{LogFormat: c.format}, process{stderr: &out}).Info("hello")
		if strings.HasPrefix(out.String(), "{") != c.json {
			t.Errorf("%s: %s", why, out.String())
		}
	}
}

func TestPortError(t *testing.T) {
	t.Parallel()
	taken := &net.OpError{Op: "listen", Err: syscall.EADDRINUSE}
	for addr, want := range map[string]string{
		":8080":           ":8080 is in use; set SALLYPORT_ADDR=:8081",
		"127.0.0.1:18080": "127.0.0.1:18080 is in use; set SALLYPORT_ADDR=127.0.0.1:18081",
		":65535":          ":65535 is in use; set SALLYPORT_ADDR=:8081",
	} {
		if got := portError(addr, "SALLYPORT_ADDR", fmt.Errorf("listening: %w", taken)).Error(); got != want {
			t.Errorf("%s: %q", addr, got)
		}
	}
}
