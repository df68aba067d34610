package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

// Whoever reads the log at night finds why publishing is refused, once, and that it is over.
func TestAFullDiskIsLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	g := diskGuard{log: slog.New(slog.NewTextHandler(&log, nil))}
	dir := t.TempDir()
	for _, least := range []int64{1, 1 << 60, 1 << 60, 1} {
		g.look(dir, least)
		if full := g.room(); (full != nil) != (least > 1) || full != nil && hook.KindOf(full) != hook.KindStorageFull {
			t.Errorf("with %d bytes wanted: %v", least, full)
		}
	}
	for _, msg := range []string{"level=WARN msg=storage.full", "level=INFO msg=storage.room"} {
		if n := strings.Count(log.String(), msg); n != 1 {
			t.Errorf("%q is there %d times:\n%s", msg, n, log.String())
		}
	}
}
