//go:build unix

package action_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/send"
	"sallyport/internal/testkit"
)

// declared writes a script and declares it as the command x; more is further lines of YAML.
func declared(t testing.TB, script, more string) *action.Commands {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.sh")
	testkit.Script(t, path, script+"\n")
	c, err := action.ParseCommands([]byte("commands:\n  x:\n    path: " + path + "\n" + more))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func commands(c *action.Commands) func(*action.Config) {
	return func(cfg *action.Config) { cfg.Commands = c }
}

func TestRunCommand(t *testing.T) {
	t.Setenv("PASSED_ON", "yes")
	t.Setenv("NOT_PASSED_ON", "no")
	w := newWorld()
	dir := t.TempDir()
	x := w.executor(t, commands(declared(t, `printf '%s|' "$@"; printf '\n'; cat; printf '\n'; echo "err" >&2; env | sort; pwd`,
		"    args: [fixed, 'a b']\n    allowArgs: true\n    env: [PASSED_ON]\n    directory: "+dir)))
	a := w.add("run", hook.ActionRunCommand, `{"command":"x","args":["{{ item.q }}","$(id)","; id","--x={{ secrets.k }}"]}`, secrets("k", "s3cr3t!"))
	j := w.job(`{"q":"a \"b\" c"}`)
	got := run(t, x, a, j)
	if got.Outcome != hook.OutcomeSucceeded || got.Response.Status != 0 {
		t.Fatalf("%+v %s", got, answer(got.Response))
	}
	out := answer(got.Response)
	for _, want := range []string{
		"fixed|a b|a \"b\" c|$(id)|; id|--x=[redacted]|\n", `{"q":"a \"b\" c"}`, "err\n", "PASSED_ON=yes\n", "SALLYPORT_ATTEMPT=1\n", "SALLYPORT_ACTION=run\n",
		"SALLYPORT_DELIVERY_ID=" + j.Delivery.ID.String() + "\n", "SALLYPORT_REQUEST_ID=" + j.Event.Source.RequestID.String() + "\n", dir,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\nNOT_PASSED_ON") || strings.Contains(out, "HOME=") || strings.Contains(body(got.Request), "s3cr3t") {
		t.Errorf("leaked: %s\n%s", out, body(got.Request))
	}
	if got.Request.URL != "command:x" || got.Request.Method != "runCommand" {
		t.Errorf("%+v", got.Request)
	}
}

func TestRunCommandStdinIsTheRawBodyOrATemplate(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := w.executor(t, commands(declared(t, "cat", "")))
	if got := run(t, x, w.add("run", hook.ActionRunCommand, `{"command":"x","stdin":"q={{ item.q }}"}`), w.job(`{"q":1}`)); answer(got.Response) != "q=1" {
		t.Errorf("%s", answer(got.Response))
	}
	j := w.job(`{"q":1}`)
	w.requests[j.Event.Source.RequestID].Body.Bytes = []byte("\xff\x00raw")
	if got := run(t, x, w.add("raw", hook.ActionRunCommand, `{"command":"x"}`), j); answer(got.Response) != "\xff\x00raw" {
		t.Errorf("%q", answer(got.Response))
	}
}

func TestRunCommandOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script, more string
		class        hook.ErrorClass
		text         string
		status       int
	}{
		"an exit code":       {"echo out; exit 3", "", hook.ClassStatus, "the command x ended with exit code 3", 3},
		"a signal":           {"kill -9 $$", "", hook.ClassStatus, "the command x ended by itself: signal: killed", -1},
		"its own limit":      {"sleep 600", "    timeout: 1s", hook.ClassTimeout, "not done in time", -1},
		"a child holds on":   {"sleep 600 & wait", "    timeout: 1s", hook.ClassTimeout, "not done in time", -1},
		"not a program":      {"\nexec /nonexistent", "", hook.ClassStatus, "the command x ended with exit code 127", 127},
		"left in background": {"sleep 600 & echo done", "", "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			started := time.Now()
			got := run(t, w.executor(t, commands(declared(t, c.script, c.more))), w.add("run", hook.ActionRunCommand, `{"command":"x"}`), w.job(`{}`))
			if got.ErrorClass != c.class || got.Error != c.text || got.Permanent || got.Response.Status != c.status {
				t.Errorf("%+v %+v", got, got.Response)
			}
			if took := time.Since(started); took > 5*time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}

// What a command started is killed with it.
func TestRunCommandKillsTheGroup(t *testing.T) {
	t.Parallel()
	mark := filepath.Join(t.TempDir(), "alive")
	marks := func() int {
		content, err := os.ReadFile(mark)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return len(content)
	}
	w := newWorld()
	// The machine may need more time than a command has until the child is there.
	for limit := 300 * time.Millisecond; marks() == 0; limit *= 2 {
		x := w.executor(t, commands(declared(t, "(while :; do echo x >> "+mark+"; sleep 0.05; done) & sleep 600", "    timeout: "+hook.FormatDuration(limit))))
		if got := run(t, x, w.add("run", hook.ActionRunCommand, `{"command":"x"}`), w.job(`{}`)); got.ErrorClass != hook.ClassTimeout || limit > time.Minute {
			t.Fatalf("%+v", got)
		}
	}
	// Killed, it may still end the line that it was writing.
	before := marks()
	for began := time.Now(); ; {
		time.Sleep(time.Second)
		after := marks()
		if after == before {
			break
		}
		if before = after; time.Since(began) > 20*time.Second {
			t.Fatalf("it goes on: %d bytes by now", after)
		}
	}
}

func TestRunCommandOutputIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x := w.executor(t, commands(declared(t, "printf 'abcs3cr3t!'; head -c 3000000 /dev/zero | tr '\\0' x", "    maxOutput: 5")))
	got := run(t, x, w.add("run", hook.ActionRunCommand, `{"command":"x"}`, secrets("k", "s3cr3t!")), w.job(`{}`))
	b := got.Response.Body
	if string(b.Bytes) != "abc[r" || !b.Truncated || b.Size != 3000010 || len(b.SHA256) != 32 {
		t.Errorf("%q %v %d", b.Bytes, b.Truncated, b.Size)
	}
}

func TestRunCommandAllowsOnlyWhatIsDeclared(t *testing.T) {
	t.Parallel()
	w := newWorld()
	a := w.add("run", hook.ActionRunCommand, `{"command":"x","args":["{{ item.a }}","two"]}`)
	for more, want := range map[string]string{
		"":                           "config.args: the operator allows 0 arguments for x, not 2",
		"    allowArgs: false":       "config.args: the operator allows 0 arguments for x, not 2",
		"    allowArgs: 1":           "config.args: the operator allows 1 arguments for x, not 2",
		"    allowArgs: 2":           "",
		"    allowArgs: '[a-z]+'":    `config.args[0]: "rm -rf" is not what the operator allows for x`,
		"    allowArgs: '[- a-z]+|'": "",
	} {
		got := run(t, w.executor(t, commands(declared(t, "", more))), a, w.job(`{"a":"rm -rf"}`))
		if got.Error != want || got.Permanent != (want != "") {
			t.Errorf("%s: %+v", more, got)
		}
	}
	if got := run(t, w.executor(t), a, w.job(`{}`)); !got.Permanent || !strings.Contains(got.Error, "SALLYPORT_COMMANDS") {
		t.Errorf("%+v", got)
	}
	b := w.add("other", hook.ActionRunCommand, `{"command":"sh"}`)
	if got := run(t, w.executor(t, commands(declared(t, "", ""))), b, w.job(`{}`)); !got.Permanent || !strings.Contains(got.Error, "sh is not declared") {
		t.Errorf("%+v", got)
	}
}

// Those that wait for their turn lose none of their time.
func TestRunCommandConcurrency(t *testing.T) {
	t.Parallel()
	w := newWorld()
	lock := filepath.Join(t.TempDir(), "lock")
	x := w.executor(t, commands(declared(t, "mkdir "+lock+" || exit 9; sleep 1; rmdir "+lock, "    timeout: 8s")))
	// Nine take longer than one may; one may take much longer than it does.
	a := w.add("run", hook.ActionRunCommand, `{"command":"x"}`, func(a *hook.Action) { a.Timeout = 8 * time.Second })
	var jobs []*hook.Job
	for range 9 {
		jobs = append(jobs, w.job(`{}`))
	}
	var wait sync.WaitGroup
	for _, j := range jobs {
		wait.Go(func() {
			if got := run(t, x, a, j); got.Outcome != hook.OutcomeSucceeded {
				t.Errorf("%+v", got)
			}
		})
	}
	wait.Wait()
}

func TestRunCommandStopping(t *testing.T) {
	t.Parallel()
	w := newWorld()
	begun := filepath.Join(t.TempDir(), "begun")
	x := w.executor(t, commands(declared(t, "touch "+begun+"; sleep 600", "")))
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for {
			if _, err := os.Stat(begun); err == nil {
				cancel(send.ErrStopping)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	got := x.Send(ctx, hook.TargetOfAction(w.add("run", hook.ActionRunCommand, `{"command":"x"}`)), w.job(`{}`), 1)
	if got.Outcome != hook.OutcomeAborted || got.Error != "cut off because Sallyport is stopping" {
		t.Errorf("%+v", got)
	}
}

func TestDeclarationsAreChecked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"commands: {x: {path: bin/x}}":                                  `path "bin/x" must be absolute`,
		"commands: {x: {path: /nonexistent}}":                           "no such file",
		"commands: {x: {path: /etc/passwd}}":                            "cannot be executed",
		"commands: {x: {path: /bin/sh, timeout: 5 min}}":                `timeout "5 min"`,
		"commands: {x: {path: /bin/sh, env: [SALLYPORT_ADMIN_KEY]}}":    "it may hold a secret",
		"commands: {x: {path: /bin/sh, concurrency: 0}}":                "concurrency must be from 1",
		"commands: {x: {path: /bin/sh, allowArgs: '('}}":                "allowArgs:",
		"commands: {x: {path: /bin/sh, allowArgs: 1000}}":               "at most 100",
		"commands: {x: {path: /bin/sh, shell: true}}":                   "field shell not found",
		"commands: {'x y': {path: /bin/sh}}":                            "its name must be",
		`{"commands":{"x":{"path":"/bin/sh","directory":"/nonexist"}}}`: "directory /nonexist is none",
	} {
		if _, err := action.ParseCommands([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	path := filepath.Join(t.TempDir(), "commands.json")
	if err := os.WriteFile(path, []byte(`{"commands":{"x":{"path":"/bin/sh"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := action.LoadCommands(path); err != nil {
		t.Error(err)
	}
	if err := os.Chmod(path, 0o602); err != nil { //nolint:gosec // that is the fault to be found
		t.Fatal(err)
	}
	if _, err := action.LoadCommands(path); err == nil || !strings.Contains(fmt.Sprint(err), "chmod o-w") {
		t.Error(err)
	}
}

// What a request says is no option of a command, unless the action or the operator says so.
func TestRunCommandOptionsFromRequests(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		allow, arg, item, text string
	}{
		"from the request":       {"true", `{{ item.f }}`, `{"f":"--output=/etc/passwd"}`, `config.args[0]: "--output=/etc/passwd" could be taken for an option of x; write the dash before the template, or have the operator allow such arguments by a pattern`},
		"no option":              {"true", `{{ item.f }}`, `{"f":"a-b"}`, ""},
		"the action's own":       {"true", `--file={{ item.f }}`, `{"f":"-x"}`, ""},
		"a constant":             {"true", `-v`, `{}`, ""},
		"as the operator allows": {`"-?[0-9]+"`, `{{ item.f }}`, `{"f":"-5"}`, ""},
	} {
		w := newWorld()
		x := w.executor(t, commands(declared(t, "echo ok", "    allowArgs: "+c.allow)))
		got := run(t, x, w.add("run", hook.ActionRunCommand, `{"command":"x","args":["`+c.arg+`"]}`), w.job(c.item))
		if got.Error != c.text || (got.Outcome == hook.OutcomeSucceeded) != (c.text == "") {
			t.Errorf("%s: %s %q", name, got.Outcome, got.Error)
		}
	}
}
