package store

import (
	"context"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/testkit"
)

// Slow readers of the API have all of its connections: what accepting and sending ask for
// on their way is answered all the same.
func TestPipelineDoesNotWaitForTheAPI(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{DatabaseURL: testkit.EmptyPostgres(t), MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Prepare(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	w, err := s.EnsureDefaultWorkspace(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	taken, err := s.api.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Release()
	for name, ask := range map[string]func(ctx context.Context) error{
		"the configuration": func(ctx context.Context) error {
			_, err := s.LoadSnapshot(ctx, w.ID)
			return err
		},
		"the health of targets": func(ctx context.Context) error {
			_, err := s.LoadHealth(ctx, []hook.ID{w.ID})
			return err
		},
		"the hold": func(ctx context.Context) error {
			_, err := s.Hold(ctx)
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := ask(ctx); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// Others have SQLite's only writer, and another process may have the file: whoever wants to
// write hears of it, and does not wait for all of them.
func TestNobodyWaitsForSQLiteForEver(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Prepare(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	taken, err := s.sqlw.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.writeTimeout = 20 * time.Millisecond
	if _, err := s.SetHold(t.Context(), true); hook.KindOf(err) != hook.KindUnavailable {
		t.Errorf("a write without the writer: %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	s.writeTimeout = time.Minute
	if _, err := s.SetHold(t.Context(), true); err != nil {
		t.Errorf("with the writer: %v", err)
	}
}
