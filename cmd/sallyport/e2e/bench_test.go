package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	"sallyport/internal/testkit"
)

// A short measurement of calls in, on both engines: it finds in the database what it sent, once.
func TestBenchIn(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), testkit.Binary(t), "bench", "--direction", "in", "--duration", "300ms", "--publishers", "4", "--json")
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
			if engine == "postgres" {
				cmd.Env = append(cmd.Env, "SALLYPORT_DATABASE_URL="+testkit.EmptyPostgres(t))
			}
			var said bytes.Buffer
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, said.String())
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
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if r.Engine != engine || len(r.Steps) != 6 || r.EchoRatio <= 0 || r.Lost+r.StoredTwice+r.NotDelivered != 0 {
				t.Fatalf("%s", out)
			}
			var through int64
			for _, s := range r.Steps {
				if s.Name != "bare echo" {
					through += s.Answered
				}
			}
			if through == 0 || r.Answered != through || r.Steps[5].Delivered == 0 || r.Steps[1].Delivered != r.Steps[1].Answered {
				t.Errorf("%s", out)
			}
		})
	}
}
