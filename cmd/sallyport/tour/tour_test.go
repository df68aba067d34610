package tour

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"sallyport/internal/testkit"
)

// TestTour types the page's commands into three terminals in a fresh copy of the tree. Only the
// two ports are others, because those of the page may be taken.
func TestTour(t *testing.T) {
	dir := t.TempDir()
	copyTree(t, root, dir)
	blocks := page(t)
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) { //nolint:paralleltest // they share ./data
			url := ""
			if engine == "postgres" {
				url = testkit.EmptyPostgres(t)
			}
			newTour(t, dir, url).take(t, blocks)
			if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
				t.Fatal(err)
			}
		})
	}
}

type tour struct {
	dir      string
	database string // of Postgres
	env      []string
	ports    *strings.Replacer
	windows  map[string]*window
	mine     *shell
}

func newTour(t *testing.T, dir, database string) *tour {
	t.Helper()
	serve, receive := freePort(t), freePort(t)
	r := &tour{
		dir: dir, database: database, windows: map[string]*window{},
		ports: strings.NewReplacer("localhost:8080", "localhost:"+serve, "9000", receive),
		env:   append(environ(), "SALLYPORT_ADDR=127.0.0.1:"+serve),
	}
	if database != "" {
		r.env = append(r.env, "SALLYPORT_DATABASE_URL="+database)
	}
	r.mine = openShell(t, dir, r.env)
	t.Cleanup(func() {
		for _, name := range []string{"2", "1"} {
			if w := r.windows[name]; w != nil {
				w.interrupt(t)
			}
		}
	})
	return r
}

// take goes through the page from top to bottom.
func (r *tour) take(t *testing.T, blocks []block) {
	t.Helper()
	shown, where := "", ""
	for i, b := range blocks {
		text := r.ports.Replace(b.text)
		step, ok := strings.CutPrefix(b.mark, "tour: ")
		if b.mark == "first aid" {
			r.firstAid(t, b.text)
		}
		if !ok {
			continue
		}
		switch step {
		case "terminal 1", "terminal 2":
			where = strings.TrimPrefix(step, "terminal ")
			if w := r.windows[where]; w != nil {
				w.interrupt(t)
			}
			r.windows[where] = open(t, r.dir, r.env, text)
			if next := blocks[i+1].mark; next != "tour: shows" && where == "2" {
				r.see(t, b, "2", "receiving on …\n")
			}
		case "terminal 3":
			where = "3"
			var failed string
			if shown, failed = r.mine.run(t, text); failed != "" {
				t.Fatalf("README.md:%d: failed: %s\n%s", b.line, failed, shown)
			}
		case "terminal 3, again":
			where = "3"
			shown = r.again(t, b, text, r.ports.Replace(blocks[i+1].text))
		case "shows":
			if where != "3" {
				r.see(t, b, where, text)
			} else if !pattern(text).MatchString(shown) {
				t.Fatalf("README.md:%d: the page says\n%s\nbut it shows\n%s", b.line, text, shown)
			}
		case "shows in terminal 1", "shows in terminal 2":
			r.see(t, b, strings.TrimPrefix(step, "shows in terminal "), text)
		default:
			t.Fatalf("README.md:%d: what is %q?", b.line, b.mark)
		}
	}
	if len(r.windows) != 2 {
		t.Error("the page has no tour")
	}
}

func (r *tour) see(t *testing.T, b block, terminal, text string) {
	t.Helper()
	if _, err := r.windows[terminal].wait(pattern(text)); err != nil {
		t.Fatalf("README.md:%d: terminal %s %v", b.line, terminal, err)
	}
}

// again repeats commands that only look, as somebody does who waits for something to happen.
func (r *tour) again(t *testing.T, b block, text, want string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		shown, failed := r.mine.run(t, text)
		if failed == "" && pattern(want).MatchString(shown) {
			return shown
		}
		if time.Now().After(deadline) {
			t.Fatalf("README.md:%d: the page says\n%s\nbut it shows\n%s%s", b.line, want, shown, failed)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// firstAid runs the page's query while an event waits for a paused webhook.
func (r *tour) firstAid(t *testing.T, query string) {
	t.Helper()
	const wait = `api -X POST $B/v1/webhooks/erp-orders/pause >/dev/null
api --json '{"type":"order.paid"}' $B/v1/events >/dev/null`
	if shown, failed := r.mine.run(t, wait); failed != "" {
		t.Fatalf("%s: %s", failed, shown)
	}
	driver, source := "sqlite", "file:"+filepath.Join(r.dir, "data", "sallyport.db")+"?mode=ro"
	if r.database != "" {
		driver, source = "pgx", r.database
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var code string
	var waiting, claimed int
	var since any
	row := db.QueryRowContext(context.WithoutCancel(t.Context()), query)
	if err := row.Scan(&code, &waiting, &claimed, &since); err != nil || code != "default" || waiting != 1 || claimed != 0 || since == nil {
		t.Errorf("first aid: %q %d %d %v, %v", code, waiting, claimed, since, err)
	}
}

// environ is ours without settings, so that those of whoever tests do not count.
func environ() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "SALLYPORT_") && !strings.HasPrefix(entry, "MAKE") {
			env = append(env, entry)
		}
	}
	return env
}

// freePort is a port of this test.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(testkit.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// copyTree copies what a fresh clone has, changes that are not committed yet included.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir():
			switch name {
			case ".git", "bin", "data", "dist", filepath.Join(".ci", "node_modules"):
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !entry.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), content, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(fmt.Errorf("copying the tree: %w", err))
	}
}
