package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// A short measurement of calls in, on both engines: it finds in the database what it sent, once.
func TestBenchIn(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			// A disk that stands still for as long as a step takes leaves nothing to measure.
			for duration := 300 * time.Millisecond; ; duration *= 5 {
				all, measured := measureIn(t, engine, duration)
				if measured {
					return
				}
				if duration > 5*time.Second {
					t.Fatalf("in steps of %s: %s", duration, all)
				}
			}
		})
	}
}

// measureIn runs the command and reports whether each of its steps measured something.
func measureIn(t *testing.T, engine string, duration time.Duration) (all []byte, measured bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testkit.Binary(t), "bench", "--direction", "in", "--duration", duration.String(), "--publishers", "4", "--json")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	if engine == "postgres" {
		cmd.Env = append(cmd.Env, "SALLYPORT_DATABASE_URL="+testkit.EmptyPostgres(t))
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	all, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, all, said.String())
	}
	var r struct {
		Engine                      string
		Answered, Lost, StoredTwice int64
		NotDelivered                int64
		EchoRatio                   float64
		Steps                       []struct {
			Name                string
			Answered, Delivered int64
		}
	}
	if err := json.Unmarshal(all, &r); err != nil {
		t.Fatalf("%v: %s", err, all)
	}
	if r.Engine != engine || len(r.Steps) != 6 || r.Lost+r.StoredTwice+r.NotDelivered != 0 {
		t.Fatalf("%s", all)
	}
	var through int64
	for _, s := range r.Steps {
		if s.Name != "bare echo" {
			through += s.Answered
		}
	}
	if r.Answered != through || r.Steps[1].Delivered != r.Steps[1].Answered {
		t.Errorf("%s", all)
	}
	return all, through > 0 && r.EchoRatio > 0 && r.Steps[5].Delivered > 0
}
