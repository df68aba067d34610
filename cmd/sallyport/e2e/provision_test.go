package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/creack/pty"

	"sallyport/internal/testkit"
)

// cli runs the program as a script does: without a terminal, with these variables only.
func (w *world) cli(dir string, environ []string, args ...string) *told {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), longPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, testkit.Binary(w.t), args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SALLYPORT_URL=" + w.url, "SALLYPORT_KEY=" + w.admin.key}, environ...)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("sallyport %v: %v", args, err)
	}
	a := &told{w: w, args: args, out: out.String(), problems: problems.String(), code: cmd.ProcessState.ExitCode()}
	// Whatever a command prints may end in the log of a build.
	given, _ := w.planted.all()
	for _, secret := range given {
		if strings.Contains(a.out+a.problems, secret) {
			w.t.Errorf("sallyport %v prints the secret %q:\n%s%s", args, secret, a.out, a.problems)
		}
	}
	return a
}

// told is what a command printed, and how it ended.
type told struct {
	w             *world
	args          []string
	out, problems string
	code          int
}

func (a *told) ends(code int) *told {
	a.w.t.Helper()
	if a.code != code {
		a.w.t.Fatalf("sallyport %v ends with %d, want %d\n%s%s", a.args, a.code, code, a.out, a.problems)
	}
	return a
}

func (a *told) prints(want string) *told {
	a.w.t.Helper()
	if a.out != want {
		a.w.t.Errorf("sallyport %v prints\n%s\nwant\n%s", a.args, a.out, want)
	}
	return a
}

func (a *told) complains(parts ...string) *told {
	a.w.t.Helper()
	for _, want := range parts {
		if !strings.Contains(a.problems, want) {
			a.w.t.Errorf("sallyport %v complains\n%s\nwithout %q", a.args, a.problems, want)
		}
	}
	return a
}

// write puts a file into a directory and returns its name there.
func (w *world) write(dir, name, text string) string {
	w.t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return name
}

// everything is the whole configuration as the API shows it.
func (w *world) everything() string {
	w.t.Helper()
	all := ""
	for _, kind := range []string{"event-types", "actions", "incoming-webhooks", "webhooks"} {
		all += string(w.admin.get("/v1/" + kind + "?order=asc&limit=500").want(http.StatusOK).body)
	}
	return all
}

// guideFile is the file as the guide has it.
const guideFile = `# yaml-language-server: $schema=http://localhost:8080/schema/provision.json
set: billing-ci                      # what --prune may delete: metadata managed-by=billing-ci, nothing else
workspace: ${SALLYPORT_WORKSPACE:-default}
actions:
  - {code: book-stock, name: Book stock, type: httpRequest, config: {method: POST, url: "${ERP_BASE:?}/stock", body: "{{ item|json_encode|raw }}"}}
incomingWebhooks:
  - {code: erp-stock, name: ERP Stock, secrets: [{name: erp, value: "${ERP_HASH_SECRET:?}"}], routes: [{action: book-stock}],
     hash: "{{ (secrets.erp ~ 'now'|date('Y-m-d_H-i'))|md5 }}"}
webhooks:
  - {code: erp-orders, name: ERP orders, url: "${RECEIVER_BASE:?}/hooks", eventTypes: ["order.*"], secret: "${ERP_SECRET:?}"}
`

var _ = suite("provisioning", map[string]func(*world){
	"one directory, three environments": func(w *world) {
		dir := w.t.TempDir()
		w.write(dir, "conf/hooks.yaml", guideFile)
		w.write(dir, "conf/types/orders.json", "{\n\t\"set\": \"billing-ci\",\n\t\"eventTypes\": [{\"name\": \"order.paid\", \"description\": \"Paid in ${STAGE}\"}]\n}\n")
		w.write(dir, "conf/.hidden.yaml", "no: file of ours")
		w.write(dir, "conf/README.md", "nor this")
		for _, stage := range []string{"dev", "staging", "production"} {
			e := newWorld(w.t, w.server)
			r := e.receiver()
			secret, hash := e.planted.given("of-the-vault-of-"+stage+"-"+random(20)), e.planted.given("hash-of-"+stage+"-"+random(12))
			environ := []string{
				"SALLYPORT_WORKSPACE=" + e.workspace, "STAGE=" + stage, "ERP_BASE=" + r.URL, "RECEIVER_BASE=" + r.URL, "ERP_HASH_SECRET=" + hash, "ERP_SECRET=" + secret,
			}
			const plus = "+ eventTypes/order.paid\n+ actions/book-stock\n+ incomingWebhooks/erp-stock\n+ webhooks/erp-orders\n"
			empty := e.everything()
			e.cli(dir, environ, "plan", "-f", "conf").ends(1).prints(plus)
			e.cli(dir, environ, "apply", "-f", "conf").ends(2).prints(plus).complains("there is no terminal to ask at; say --yes")
			if e.everything() != empty {
				e.t.Errorf("%s: planning made something", stage)
			}
			e.cli(dir, environ, "apply", "-f", "conf", "--yes").ends(0).prints(plus + "4 created, 0 updated, 0 deleted, 0 unchanged\n")
			before, onRecord := e.everything(), string(e.admin.get("/v1/audit-log").want(http.StatusOK).body)
			e.cli(dir, environ, "apply", "-f", "conf", "--yes").ends(0).prints("= 4 unchanged\n")
			e.cli(dir, environ, "plan", "-f", "conf/types", "-f", "conf/hooks.yaml").ends(0).prints("= 4 unchanged\n")
			if e.everything() != before {
				e.t.Errorf("%s: the second run changed\n%s\nto\n%s", stage, before, e.everything())
			}
			if again := string(e.admin.get("/v1/audit-log").want(http.StatusOK).body); again != onRecord || !strings.Contains(onRecord, "erp-orders") {
				e.t.Errorf("%s: the second run is on record:\n%s\nbefore\n%s", stage, again, onRecord)
			}
			e.admin.get("/v1/event-types/order.paid").want(http.StatusOK).has("description", "Paid in "+stage, "metadata.managed-by", "billing-ci")
			e.signed(e.next(r, doc{"type": "order.paid"}), secret)
			e.ran(e.nobody.post(e.in("erp-stock")+"?hash="+minuteHash(hash, time.Now()), `{"sku":"A"}`).want(http.StatusAccepted), doc{"succeeded": 1})
			// A new secret in the vault is a change, and rotates.
			next := e.planted.given("next-of-the-vault-of-" + stage + "-" + random(20))
			rotated := append(environ[:len(environ):len(environ)], "ERP_SECRET="+next, "RECEIVER_BASE="+r.URL+"/v2")
			e.cli(dir, rotated, "plan", "-f", "conf", "--diff").ends(1).
				prints("~ webhooks/erp-orders  url, secret\n    url: now \"${RECEIVER_BASE:?}/hooks\"\n    secret: (not shown)\n= 3 unchanged\n")
			e.cli(dir, rotated, "apply", "-f", "conf", "-y", "--diff").ends(0).
				prints("~ webhooks/erp-orders  url, secret\n    url: now \"${RECEIVER_BASE:?}/hooks\"\n    secret: (not shown)\n0 created, 1 updated, 0 deleted, 3 unchanged\n")
			e.cli(dir, rotated, "plan", "-f", "conf").ends(0)
			// The key is of one workspace, and the file of another.
			e.cli(dir, append(environ, "SALLYPORT_WORKSPACE="+w.workspace), "plan", "-f", "conf").ends(2).complains("workspace_forbidden")
			e.cli(dir, environ, "plan", "-f", "conf", "--workspace", w.workspace).ends(2).complains("the files are for the workspace")
			// A key of the installation goes where the file says.
			e.cli(dir, append(rotated, "SALLYPORT_KEY="+e.adminKey), "plan", "-f", "conf").ends(0).prints("= 4 unchanged\n")
			e.cli(dir, append(rotated, "SALLYPORT_KEY="+e.viewer.key), "apply", "-f", "conf").ends(1).complains("403 forbidden")
		}
	},
	"what is wrong with a file": func(w *world) {
		dir := w.t.TempDir()
		f := w.write(dir, "hooks.yaml", guideFile)
		w.cli(dir, nil, "plan", "-f", f).ends(2).complains("hooks.yaml:5: ERP_BASE is not set", "hooks.yaml:7: ERP_HASH_SECRET is not set", "hooks.yaml:10: ERP_SECRET is not set")
		w.cli(dir, []string{"ERP_SECRET="}, "apply", "-f", f, "--yes").ends(1).complains("hooks.yaml:10: ERP_SECRET is empty")
		secret := w.planted.given("secret-of-a-wrong-file-" + random(12))
		wrong := w.write(dir, "wrong.yaml", `set: wrong
webhooks:
  - code: a
    url: https://a.example
    secret: ${SECRET:?}
    retry:
      schedule:
        - 5s
        - 1m
        - 5 min
  - code: b
    url: ftp://${SECRET}
incomingWebhooks:
  - code: door
    routes:
      - action: nobody-makes-it
    hash: "{{ secrets.none"
`)
		w.cli(dir, []string{"SECRET=" + secret}, "plan", "-f", wrong).ends(2).complains("things are wrong",
			`wrong.yaml:10: webhooks/a retry.schedule[2]: "5 min" is not a duration; use "5m" (invalid_duration)`, "wrong.yaml:12: webhooks/b url: ", "(invalid_url)",
			"wrong.yaml:16: incomingWebhooks/door routes[0].action: ", "(unknown_action)", "wrong.yaml:17: incomingWebhooks/door hash: ")
		typo := w.write(dir, "typo.yaml", "set: a\nwebhooks:\n  - {code: a, url: https://a.example,\n     eventTyps: [x]}\n")
		w.cli(dir, nil, "plan", "-f", typo).ends(2).complains(`typo.yaml:4: there is no field "eventTyps"; did you mean "eventTypes"?`)
		w.cli(dir, nil, "plan").ends(2).complains("name a file with -f", "See sallyport plan --help")
		w.cli(dir, nil, "plan", "-f", "none.yaml").ends(2).complains("none.yaml")
		w.cli(dir, []string{"SALLYPORT_KEY=sp_wrong"}, "plan", "-f", typo+"x").ends(2)
		fine := w.write(dir, "fine.yaml", "set: fine\nwebhooks: [{code: fine, url: https://a.example}]\n")
		w.cli(dir, []string{"SALLYPORT_KEY=sp_wrong"}, "plan", "-f", fine).ends(2).complains("401 unauthorized", "the key is from SALLYPORT_KEY")
		w.cli(dir, []string{"SALLYPORT_URL=http://127.0.0.1:1"}, "plan", "-f", fine).ends(2).complains("cannot reach http://127.0.0.1:1")
		w.cli(dir, []string{"SALLYPORT_WORKSPACE=none-" + random(8), "SALLYPORT_KEY=" + w.adminKey}, "plan", "-f", fine).ends(2).complains("no workspace")
	},
	"prune stays within the set": func(w *world) {
		dir := w.t.TempDir()
		const url = "url: https://a.example"
		w.admin.put("/v1/webhooks/by-hand", doc{"url": "https://a.example"}).want(http.StatusCreated)
		w.write(dir, "other.yaml", "set: other-ci\nwebhooks: [{code: theirs, "+url+"}]\n")
		w.write(dir, "mine.yaml", "set: mine-ci\nactions: [{code: act, type: upsertRecord, config: {collection: c, key: k}}, {code: all, type: set, config: {actions: [act]}}]\n"+
			"incomingWebhooks: [{code: door, routes: [{action: all}], postProcessors: [{type: action, action: act}]}]\nwebhooks: [{code: one, name: First, "+url+"}, {code: two, "+url+"}]\neventTypes: [{name: pruned.type}]\n")
		w.cli(dir, nil, "apply", "-y", "-f", "other.yaml").ends(0)
		w.cli(dir, nil, "apply", "-y", "-f", "mine.yaml").ends(0).prints("+ eventTypes/pruned.type\n+ actions/act\n+ actions/all\n+ incomingWebhooks/door\n+ webhooks/one\n+ webhooks/two\n6 created, 0 updated, 0 deleted, 0 unchanged\n")
		// A file that took the name of another set's webhook does not take the webhook.
		w.write(dir, "thief.yaml", "set: thief\nwebhooks: [{code: theirs, "+url+"}]\n")
		w.cli(dir, nil, "apply", "-y", "-f", "thief.yaml").ends(1).complains(`thief.yaml:2: webhooks/theirs is managed by the set "other-ci"`)
		w.write(dir, "mine.yaml", "set: mine-ci\nwebhooks: [{code: renamed, name: First, "+url+"}, {code: two, "+url+"}]\n")
		w.cli(dir, nil, "plan", "-f", "mine.yaml").ends(2).complains("webhooks/one has it, which the files no longer have; --prune deletes it first")
		plan := "- webhooks/one\n+ webhooks/renamed\n- incomingWebhooks/door\n- actions/all\n- actions/act\n- eventTypes/pruned.type\n"
		w.cli(dir, nil, "plan", "--prune", "-f", "mine.yaml").ends(1).prints(plan + "= 1 unchanged\n")
		w.cli(dir, nil, "apply", "--prune", "-y", "-f", "mine.yaml").ends(0).prints(plan + "1 created, 0 updated, 5 deleted, 1 unchanged\n")
		w.cli(dir, nil, "apply", "--prune", "-y", "-f", "mine.yaml").ends(0).prints("= 2 unchanged\n")
		w.write(dir, "empty.yaml", "set: mine-ci\nwebhooks: []\n")
		w.cli(dir, nil, "apply", "--prune", "-y", "-f", "empty.yaml").ends(1).complains("the files have no objects")
		if left := strings.Join(w.admin.get("/v1/webhooks?order=asc").want(http.StatusOK).list("code"), " "); left != "by-hand theirs two renamed" {
			w.t.Errorf("left are %s", left)
		}
		w.cli(dir, nil, "delete", "-f", "mine.yaml").ends(2).complains("say --yes")
		w.cli(dir, nil, "delete", "-y", "-f", "mine.yaml").ends(0).prints("- webhooks/renamed\n- webhooks/two\n0 created, 0 updated, 2 deleted, 0 unchanged\n")
		w.cli(dir, nil, "delete", "-y", "-f", "mine.yaml").ends(0).prints("nothing to do\n")
	},
	"an object may need another that comes with it": func(w *world) {
		dir := w.t.TempDir()
		w.platform.patch("/v1/workspaces/"+w.workspace, doc{"strict": true}).want(http.StatusOK)
		w.write(dir, "a.yaml", "set: a\nactions: [{code: old, type: upsertRecord, config: {collection: c, key: k}}]\nincomingWebhooks: [{code: door, routes: [{action: old}]}]\n")
		w.cli(dir, nil, "apply", "-y", "-f", "a.yaml").ends(0)
		w.write(dir, "a.yaml", `set: a
eventTypes: [{name: strict.one}]
actions: [{code: old, type: upsertRecord, config: {collection: c, key: k}}, {code: new, type: upsertRecord, config: {collection: d, key: k}}]
incomingWebhooks: [{code: door, description: changed, routes: [{action: new}, {action: old}]}, {code: fresh, routes: [{action: new}]}]
webhooks: [{code: hook, url: "https://a.example", eventTypes: [strict.one]}]
`)
		plan := w.cli(dir, nil, "plan", "-f", "a.yaml").ends(1)
		plan.prints("+ eventTypes/strict.one\n+ actions/new\n~ incomingWebhooks/door  description, routes\n+ incomingWebhooks/fresh\n+ webhooks/hook\n= 1 unchanged\n")
		w.cli(dir, nil, "apply", "-y", "-f", "a.yaml").ends(0)
		w.cli(dir, nil, "plan", "-f", "a.yaml").ends(0)
		w.cli(dir, nil, "plan", "--json", "-f", "a.yaml").ends(0)
	},
	"an export changes nothing": func(w *world) {
		dir := w.t.TempDir()
		secret, password, header, named, static := w.planted.given("export-secret-"+random(20)), w.planted.given("export-password-"+random(12)), w.planted.given("Bearer export-"+random(12)), w.planted.given("export-named-"+random(12)), "export-static-"+random(12) // which an admin is shown
		w.admin.put("/v1/event-types/order.paid", `{"schema":{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"string"}}},"mode":"off","sample":{"price":12.50,"no":"no","at":"2026-01-01","n":1e3},"archived":true}`).want(http.StatusCreated)
		w.action("act", "httpRequest", doc{"url": "https://a.example/{{ item.id }}?price=$${x}", "bearer": "{{ secrets.erp }}", "body": doc{"a": nil, "b": []any{1, "true", doc{}}}},
			doc{"secrets": []doc{{"name": "erp", "value": named}}, "condition": "item.n > 1\nand true", "retry": doc{"exponential": doc{"initial": "1s"}}, "timeout": "3s", "description": "über $HOME"})
		w.door("door", doc{"routes": []doc{{"action": "act", "condition": "item.x", "parser": doc{"type": "csv"}}, {"action": "act", "name": "again"}}, "hash": static, "hashIn": doc{"in": "header", "name": "X-Hash"}, "methods": []string{"GET", "POST"},
			"secrets": []doc{{"name": "gh", "value": named}}, "preProcessors": []doc{{"type": "signature", "preset": "github", "secrets": []string{"gh"}}, {"type": "header", "header": "X-T", "matches": "^a$"}}, "dedupe": nil,
			"response": doc{"mode": "wait", "body": "OK {{ request.id }}"}, "refusal": "uniform", "ipAllowList": []string{"127.0.0.0/8"}})
		w.door("plain", doc{"hash": "{{ (secrets.erp ~ 'now'|date('Y'))|sha256 }}", "secrets": []doc{{"name": "erp", "value": named}}, "profile": "atrocore"})
		w.admin.put("/v1/webhooks/rich", doc{"name": "Rich", "url": "https://a.example/$x?y=${z}", "profile": "etlworks", "method": "POST", "secret": secret,
			"headers": []doc{{"name": "X-Team", "value": "true"}, {"name": "Authorization", "value": header}}, "metadata": doc{"team": "7"}, "filter": "event.entity.a matches '/^x$/'", "maxInFlight": 3,
			"rateLimit": doc{"requests": 5}, "successCodes": []string{"200", "2xx"}, "enabled": false, "eventTypes": []string{"order.*", "Webhook.Suspended"}}).want(http.StatusCreated)
		w.admin.put("/v1/webhooks/poor", doc{"url": "https://a.example", "basicAuth": doc{"username": "u", "password": password}}).want(http.StatusCreated)
		w.cli(dir, nil, "export").ends(2).complains("--set NAME, or --all")
		w.cli(dir, nil, "export", "--all", "wehooks").ends(2).complains("is none of the kinds")
		text := w.cli(dir, nil, "export", "--all", "--as", "shop").ends(0).out
		environ := []string{
			"ACT_SECRET_ERP=" + named, "DOOR_SECRET_GH=" + named, "DOOR_HASH=" + static, "PLAIN_SECRET_ERP=" + named, "RICH_SECRET=" + secret, "RICH_AUTHORIZATION=" + header, "POOR_PASSWORD=" + password,
		}
		if strings.Contains(text, static) {
			w.t.Errorf("the hash, which is a secret itself, is in\n%s", text)
		}
		f := w.write(dir, "export.yaml", text)
		w.cli(dir, nil, "plan", "-f", f).ends(2).complains("RICH_SECRET is not set", "DOOR_HASH is not set")
		w.cli(dir, environ, "plan", "-f", f).ends(1).prints("~ eventTypes/order.paid   metadata\n~ actions/act             metadata\n~ incomingWebhooks/door   metadata\n~ incomingWebhooks/plain  metadata\n~ webhooks/rich           metadata\n~ webhooks/poor           metadata\n")
		w.cli(dir, environ, "apply", "-y", "-f", f).ends(0)
		again := w.cli(dir, nil, "export", "--set", "shop").ends(0).out
		if again != text {
			w.t.Errorf("exported again it is\n%s\nand was\n%s", again, text)
		}
		w.cli(dir, environ, "plan", "-f", w.write(dir, "again.yaml", again)).ends(0).prints("= 6 unchanged\n")
		// The same in another workspace is the same.
		e := newWorld(w.t, w.server)
		e.cli(dir, append(environ, "SALLYPORT_WORKSPACE="+e.workspace), "apply", "-y", "-f", f).ends(0)
		copied := e.cli(dir, nil, "export", "--set", "shop").ends(0).out
		if strings.ReplaceAll(copied, e.workspace, w.workspace) != text {
			w.t.Errorf("the copy is\n%s\nnot\n%s", copied, text)
		}
		if some := w.cli(dir, nil, "export", "--set", "shop", "actions").ends(0).out; strings.Contains(some, "webhooks:") || !strings.Contains(some, "actions:") {
			w.t.Errorf("only actions are\n%s", some)
		}
		if w.cli(dir, nil, "export", "--set", "none").ends(0).complains("nothing of any kind has the metadata managed-by=none").out == "" {
			w.t.Error("an empty set is no file")
		}
	},
	"at a terminal it asks": func(w *world) {
		dir := w.t.TempDir()
		w.write(dir, "a.yaml", "set: a\nwebhooks: [{code: asked, url: https://a.example}]\n")
		answered := func(answer string) (string, int) {
			w.t.Helper()
			cmd := exec.CommandContext(w.t.Context(), testkit.Binary(w.t), "apply", "-f", "a.yaml")
			cmd.Dir = dir
			cmd.Env = []string{"HOME=" + dir, "SALLYPORT_URL=" + w.url, "SALLYPORT_KEY=" + w.admin.key}
			terminal, err := pty.Start(cmd)
			if err != nil {
				w.t.Fatal(err)
			}
			defer terminal.Close()
			if _, err := terminal.WriteString(answer + "\n"); err != nil {
				w.t.Fatal(err)
			}
			said, _ := io.ReadAll(terminal) // ends with an error when the program has
			if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
				w.t.Fatal(err)
			}
			return string(said), cmd.ProcessState.ExitCode()
		}
		for _, no := range []string{"n", "", "perhaps"} {
			if said, code := answered(no); code != 1 || !strings.Contains(said, "Make this change? [y/N]") || !strings.Contains(said, "nothing was done") {
				w.t.Errorf("answered %q it ends with %d:\n%s", no, code, said)
			}
		}
		w.admin.get("/v1/webhooks/asked").problem(http.StatusNotFound, "not_found")
		if said, code := answered("y"); code != 0 || !strings.Contains(said, "1 created") {
			w.t.Errorf("answered y it ends with %d:\n%s", code, said)
		}
		w.admin.get("/v1/webhooks/asked").want(http.StatusOK)
	},
	"the schema for editors": func(w *world) {
		served := w.nobody.get("/schema/provision.json").want(http.StatusOK).heads("Content-Type", "application/schema+json")
		printed := w.cli(w.t.TempDir(), nil, "apply", "--schema").ends(0)
		if string(served.body) != printed.out || !regexp.MustCompile(`"incomingWebhooks"`).MatchString(printed.out) {
			w.t.Errorf("served are %d bytes, printed %d", len(served.body), len(printed.out))
		}
	},
	"several hundred": func(w *world) {
		dir := w.t.TempDir()
		text := "set: many\neventTypes:\n"
		const n = 120
		for i := range n {
			text += fmt.Sprintf("  - {name: many.n%d}\n", i)
		}
		f := w.write(dir, "many.yaml", text)
		w.cli(dir, nil, "apply", "-y", "-f", f).ends(0)
		w.cli(dir, nil, "plan", "-f", f).ends(0).prints(fmt.Sprintf("= %d unchanged\n", n))
		w.cli(dir, nil, "delete", "-y", "-f", f).ends(0)
	},
})
