package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	_ "github.com/jackc/pgx/v5/stdlib"

	"sallyport/internal/testkit"
)

// deployed reads a file of deploy/.
func deployed(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// panel is a panel of the dashboard, as far as we look at it.
type panel struct {
	ID          int
	Type, Title string
	Description string
	GridPos     struct{ H, W, X, Y int }
	Datasource  struct{ UID string }
	Targets     []struct{ Expr, LegendFormat string }
}

func panels(t testing.TB) []panel {
	t.Helper()
	var d struct{ Panels []panel }
	if err := json.Unmarshal(deployed(t, "grafana/dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	return d.Panels
}

// Grafana's own types read the dashboard, and know every field in it.
func TestDashboardIsOne(t *testing.T) {
	t.Parallel()
	plugins.RegisterDefaultPlugins()
	var d dashboard.Dashboard //nolint:staticcheck // the form that every Grafana reads; its successor needs the newest
	for _, err := range []error{d.UnmarshalJSONStrict(deployed(t, "grafana/dashboard.json")), d.Validate()} {
		var faults cog.BuildErrors
		if errors.As(err, &faults) && len(faults) == 0 {
			continue // they say that nothing is wrong by an empty list of errors
		}
		if err != nil {
			t.Error(err)
		}
	}
	rows := []string{}
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	for _, p := range panels(t) {
		if ids[p.ID] {
			t.Errorf("%s has the id of another", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: %+v", p.Title, p)
		}
	}
	if want := []string{"Traffic", "Queue", "Targets", "Doors", "Latency", "Storage", "Process"}; !slices.Equal(rows, want) {
		t.Errorf("rows %v, want %v", rows, want)
	}
}

// prometheus is the real one, scraping a server.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus runs it with the configuration of deploy/, quickened: nobody waits for
// minutes here.
func startPrometheus(t *testing.T, w *world) *prometheus {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("prometheus is not installed; .ci/setup installs it where the platform has it")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := w.platform.post("/v1/api-keys", doc{"name": "Prometheus", "role": "viewer", "platform": true}).want(http.StatusCreated).text("key")
	config := string(deployed(t, "prometheus/prometheus.yaml"))
	for old, quick := range map[string]string{
		"scrape_interval: 15s": "scrape_interval: 250ms", "evaluation_interval: 15s": "evaluation_interval: 250ms",
		"/run/secrets/metrics_key": write("key", key), "sallyport:8080": strings.TrimPrefix(w.url, "http://"),
	} {
		if !strings.Contains(config, old) {
			t.Fatalf("the configuration has no %q", old)
		}
		config = strings.ReplaceAll(config, old, quick)
	}
	write("alerts.yaml", regexp.MustCompile(`(?m)^(\s+for:) \d+m$`).ReplaceAllString(string(deployed(t, "prometheus/alerts.yaml")), "$1 1s"))

	addr := testkit.FreeAddr(t)
	out, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), program, "--config.file="+write("prometheus.yaml", config),
		"--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+addr)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
		if said, err := os.ReadFile(out.Name()); t.Failed() && err == nil {
			t.Logf("prometheus:\n%s", said)
		}
	})
	p := &prometheus{t, "http://" + addr}
	eventually(t, "a first scrape", func() bool { return len(p.query(`up == 1`)) == 1 })
	return p
}

// query returns the values of an expression, without those that are no numbers; nil while it
// does not answer.
func (p *prometheus) query(expr string) []float64 {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+"/api/v1/query?query="+url.QueryEscape(expr), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil // it is starting
	}
	defer func() { _ = res.Body.Close() }()
	var body struct {
		Error string
		Data  struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		return nil
	}
	if body.Error != "" {
		p.t.Fatalf("%s: %s", expr, body.Error)
	}
	var out []float64
	for _, r := range body.Data.Result {
		text, _ := r.Value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	return out
}

// What is in deploy/ works: the real Prometheus scrapes the real program by that
// configuration, each alert goes pending and then fires for what it is there for, and each
// panel of the dashboard shows something.
func TestPrometheusWatches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, start(t, "postgres", "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8"))
	p := startPrometheus(t, w)

	good, hanging := w.receiver(), w.receiver()
	hanging.Respond(testkit.Answer{Hang: true})
	w.webhook(good, doc{"code": "good", "eventTypes": []string{"good.*"}})
	w.webhook(good, doc{"code": "paused", "eventTypes": []string{"held.*"}})
	w.webhook(hanging, doc{"code": "limited", "eventTypes": []string{"slow.*"}, "maxInFlight": 1, "timeout": "1m"})
	w.operator.post("/v1/webhooks/paused/pause", nil).want(http.StatusOK)
	w.door("watched", doc{})
	events := func(kind string, n int) {
		t.Helper()
		var items []doc
		for range n {
			items = append(items, doc{"type": kind})
		}
		w.publisher.post("/v1/events/batch", doc{"data": items}).want(http.StatusAccepted)
	}
	call := func(times int) {
		t.Helper()
		for range times {
			w.nobody.get(w.in("watched")).want(http.StatusMethodNotAllowed)
		}
	}
	// A first round, so that every series has a first value; then what the alerts are for.
	w.nobody.post(w.in("watched"), `{}`).want(http.StatusAccepted)
	call(1)
	events("good.a", 10)
	events("slow.a", 3)
	w.publish(doc{"type": "good.a"})
	good.Wait(11)
	hanging.WaitOpen(1)
	eventually(t, "the first values", func() bool {
		return len(p.query(`sallyport_requests_total{verdict="refused"} == 1`)) == 1 && len(p.query(`sallyport_attempts_total >= 11`)) == 1
	})
	call(450)
	events("held.a", 300)
	w.publish(doc{"type": "good.a"})
	good.Wait(12)
	// What waits behind the hanging one became due ten minutes ago.
	db, err := sql.Open("pgx", w.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), "UPDATE due SET due_at = due_at - interval '10 minutes' WHERE held_by IS NULL"); err != nil {
		t.Fatal(err)
	}
	for alert, labels := range map[string]string{"SallyportQueueAge": `workspace="` + w.workspace + `"`, "SallyportNotDraining": "", "SallyportDoorRefusals": `door="watched"`} {
		for _, state := range []string{"pending", "firing"} {
			eventually(t, alert+" to be "+state, func() bool {
				return len(p.query(fmt.Sprintf(`max_over_time(ALERTS{alertname=%q, alertstate=%q, %s}[5m])`, alert, state, labels))) == 1
			})
		}
	}
	shown := strings.NewReplacer("$__rate_interval", "5m", "$job", ".+")
	for _, panel := range panels(t) {
		for _, target := range panel.Targets {
			eventually(t, panel.Title+" to show "+target.LegendFormat, func() bool { return len(p.query(shown.Replace(target.Expr))) > 0 })
		}
	}
	hanging.Release()
}
