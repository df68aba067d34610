package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// hooksFile is a hooks file as adnanh/webhook reads it; SCRIPT is what its hooks run.
const hooksFile = `[
  {"id": "Re Deploy", "execute-command": "SCRIPT", "command-working-directory": "DIR", "response-message": "Executing redeploy script",
   "response-headers": [{"name": "X-By", "value": "hooks"}],
   "pass-arguments-to-command": [{"source": "payload", "name": "head_commit.id"}, {"source": "payload", "name": "list"}, {"source": "payload", "name": "none.there"}, {"source": "string", "name": "--flag {{ x }} $$"}, {"source": "header", "name": "x-github-event"}],
   "pass-environment-to-command": [{"source": "payload", "name": "pusher.name", "envname": "WHO"}, {"source": "url", "name": "q"}],
   "trigger-rule": {"and": [
     {"match": {"type": "payload-hmac-sha1", "secret": "SECRET", "parameter": {"source": "header", "name": "X-Hub-Signature"}}},
     {"or": [{"match": {"type": "value", "value": "refs/heads/master", "parameter": {"source": "payload", "name": "ref"}}},
             {"match": {"type": "regex", "regex": "^refs/tags/v[0-9]+$", "parameter": {"source": "payload", "name": "ref"}}},
             {"match": {"type": "value", "value": "true", "parameter": {"source": "payload", "name": "forced"}}}]},
     {"not": {"match": {"type": "value", "value": "bot", "parameter": {"source": "payload", "name": "pusher.name"}}}}]}},
  {"id": "either", "execute-command": "SCRIPT", "http-methods": ["POST"],
   "trigger-rule": {"or": [
     {"match": {"type": "payload-hmac-sha256", "secret": "SECRET", "parameter": {"source": "header", "name": "X-Hub-Signature-256"}}},
     {"match": {"type": "value", "value": "TOKEN", "parameter": {"source": "url", "name": "token"}}}]}},
  {"id": "token", "execute-command": "SCRIPT", "include-command-output-in-response": true, "success-http-response-code": 201,
   "trigger-rule": {"and": [{"match": {"type": "value", "value": "TOKEN", "parameter": {"source": "header", "name": "X-Gitlab-Token"}}}, {"match": {"type": "ip-whitelist", "ip-range": "127.0.0.1/8 ::1"}}]}},
  {"id": "slash", "execute-command": "SCRIPT", "trigger-rule": {"match": {"type": "value", "value": "TOKEN", "parameter": {"source": "payload", "name": "token"}}}},
  {"id": "elsewhere", "execute-command": "SCRIPT", "trigger-rule": {"match": {"type": "ip-whitelist", "ip-range": "203.0.113.0/24"}}},
  {"id": "shut", "execute-command": "SCRIPT", "trigger-rule": {"match": {"type": "new-kind"}}}
]`

// recordingScript prints all that it is given.
const recordingScript = "printf 'args'; printf '|%s' \"$@\"; printf '\\nwho=%s q=%s in=%s\\n' \"$WHO\" \"$HOOK_q\" \"$PWD\"; cat\n"

func macOf(h func() hash.Hash, prefix, secret, body string) string {
	mac := hmac.New(h, []byte(secret))
	mac.Write([]byte(body))
	return prefix + hex.EncodeToString(mac.Sum(nil))
}

// What was imported from adnanh/webhook applies as it is, and its hooks run what they ran, for
// those who may.
func TestImportedHooks(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, engine)
			dir := t.TempDir()
			secret, token := s.planted.given("hub-secret-"+random(16)), s.planted.given("token-of-hooks-"+random(16))
			script := filepath.Join(dir, "record it's.sh")
			testkit.Script(t, script, recordingScript)
			text := strings.NewReplacer("SCRIPT", script, "DIR", dir, "SECRET", secret, "TOKEN", token).Replace(hooksFile)
			if err := os.WriteFile(filepath.Join(dir, "hooks.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			w := &world{server: s, t: t, admin: &caller{t: t, s: s, key: "none-is-needed-to-import-files-0000"}}
			imported := w.cli(dir, nil, "import", "adnanh", "hooks.json", "--secrets", "secrets.env", "--commands", "commands.yaml").ends(0).
				complains("incomingWebhooks/shut: is disabled", "incomingWebhooks/re-deploy: was called Re Deploy there")
			w.write(dir, "hooks.yaml", imported.out)
			w.cli(dir, nil, "import", "adnanh", "hooks.json", "--secrets", "secrets.env").ends(1).complains("secrets.env is there already")
			s.launch("SALLYPORT_COMMANDS="+filepath.Join(dir, "commands.yaml"), "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8")
			s.awaitReady()
			w = newWorld(t, s)
			said, exit := w.shell(dir, "set -a; . ./secrets.env; set +a; \"$1\" plan -f hooks.yaml; \"$1\" apply --yes -f hooks.yaml && \"$1\" plan -f hooks.yaml", []string{testkit.Binary(t)}, "SALLYPORT_KEY="+w.admin.key)
			if exit != 0 || !strings.HasSuffix(said, "= 12 unchanged\n") || strings.Contains(said, secret) {
				t.Fatalf("exit %d\n%s", exit, said)
			}
			testHooks(w, dir, secret, token)
			s.stop()
		})
	}
}

func testHooks(w *world, dir, secret, token string) {
	w.t.Helper()
	ran := func(a *answer) string {
		w.t.Helper()
		n := w.ran(a, doc{"succeeded": 1})
		return w.viewer.get("/v1/deliveries/" + n.text("deliveries.0.id")).want(http.StatusOK).text("attempts.0.response.body")
	}
	deploy := func(body string) *answer {
		return w.nobody.post(w.in("re-deploy")+"?q=a%20b", body, "X-Hub-Signature", macOf(sha1.New, "sha1=", secret, body), "X-GitHub-Event", "push")
	}
	body := `{"ref":"refs/heads/master","head_commit":{"id":"abc 'def'"},"list":[1,"x"],"pusher":{"name":"-n eve $(id)"}}`
	a := deploy(body).want(http.StatusOK).heads("X-By", "hooks")
	if string(a.body) != "Executing redeploy script" {
		w.t.Errorf("it answers %s", a.body)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	if got, want := ran(a), "args|abc 'def'|[1,\"x\"]||--flag {{ x }} $$|push\nwho=-n eve $(id) q=a b in="+real+"\n"+body; got != want {
		w.t.Errorf("the command was given\n%s\nwant\n%s", got, want)
	}
	ran(deploy(`{"ref":"refs/tags/v12","pusher":{"name":"eve"}}`).want(http.StatusOK))
	ran(deploy(`{"ref":"refs/heads/other","forced":true}`).want(http.StatusOK))
	for why, body := range map[string]string{
		"another branch": `{"ref":"refs/heads/other"}`, "one that begins so": `{"ref":"refs/tags/v12x"}`, "by a bot": `{"ref":"refs/heads/master","pusher":{"name":"bot"}}`,
		"true is no text": `{"ref":true}`, "no branch at all": `{}`,
	} {
		if n := w.noted(deploy(body).want(http.StatusOK)); len(n.at("deliveries").([]any)) > 0 && n.text("deliveries.0.state") != "skipped" {
			w.t.Errorf("%s: it ran: %s", why, n.body)
		}
	}
	w.nobody.post(w.in("re-deploy"), body, "X-Hub-Signature", macOf(sha1.New, "sha1=", secret+"x", body)).problem(http.StatusForbidden, "signature_mismatch")
	w.nobody.post(w.in("re-deploy"), body).problem(http.StatusForbidden, "signature_missing")

	ran(w.nobody.post(w.in("either")+"?token="+token, `{}`).want(http.StatusOK))
	ran(w.nobody.post(w.in("either"), `{"a":1}`, "X-Hub-Signature-256", macOf(sha256.New, "sha256=", secret, `{"a":1}`)).want(http.StatusOK))
	w.nobody.post(w.in("either")+"?token=x", `{"a":1}`, "X-Hub-Signature-256", macOf(sha256.New, "sha256=", secret, `{"a":2}`)).problem(http.StatusForbidden, "pre_processor_refused")
	w.nobody.post(w.in("either"), `{}`).problem(http.StatusForbidden, "pre_processor_refused")
	w.nobody.get(w.in("either")+"?token="+token).problem(http.StatusMethodNotAllowed, "method_not_allowed")

	ran(w.nobody.post(w.in("token"), `[{"a":1},{"b":2}]`, "X-Gitlab-Token", token).want(http.StatusCreated))
	w.nobody.post(w.in("token"), `{}`, "X-Gitlab-Token", token+"x").want(http.StatusUnauthorized)
	ran(w.nobody.post(w.in("slash"), "token="+token+"&text=hi", "Content-Type", "application/x-www-form-urlencoded").want(http.StatusOK))
	w.nobody.post(w.in("slash"), "token=x", "Content-Type", "application/x-www-form-urlencoded").want(http.StatusForbidden)
	w.nobody.post(w.in("elsewhere"), `{}`).problem(http.StatusForbidden, "ip_not_allowed")
	w.nobody.post(w.in("shut"), `{}`).problem(http.StatusNotFound, "not_found")
}

var _ = suite("import", map[string]func(*world){
	"webhooks of Etlworks, Svix and Convoy": func(w *world) {
		data, err := filepath.Abs(filepath.Join("..", "..", "..", "internal", "provision", "importer", "testdata"))
		if err != nil {
			w.t.Fatal(err)
		}
		dir := w.t.TempDir()
		for from, c := range map[string]struct {
			files   []string
			environ string
			objects int
		}{
			"etlworks": {[]string{"etlworks.json"}, "FLOW_EXECUTED_2_SECRET=longer-than-it-was", 2},
			"svix":     {[]string{"svix.json"}, "ERP_ORDERS_SECRET=whsec_bm90LWEtcmVhbC1zZWNyZXQtMTIzNDU2", 2},
			"convoy":   {[]string{"convoy-endpoints.json", "convoy-subscriptions.json"}, "", 3},
		} {
			args := []string{"import", from, "--set", from + "-ci", "--secrets", from + ".env"}
			for _, name := range c.files {
				args = append(args, filepath.Join(data, name))
			}
			w.write(dir, from+".yaml", w.cli(dir, nil, args...).ends(0).out)
			script := "set -a; . ./" + from + ".env; " + c.environ + "\n\"$1\" apply --yes -f " + from + ".yaml && \"$1\" plan -f " + from + ".yaml"
			said, exit := w.shell(dir, script, []string{testkit.Binary(w.t)}, "SALLYPORT_KEY="+w.admin.key)
			if exit != 0 || !strings.HasSuffix(said, "= "+itoa(int64(c.objects))+" unchanged\n") {
				w.t.Errorf("%s: exit %d\n%s", from, exit, said)
			}
		}
		w.admin.get("/v1/webhooks/flow-executed").want(http.StatusOK).has("profile", "etlworks", "headers.0.value", "costs $$5", "basicAuth.username", "admin", "eventTypes.1", "Flow.Created")
		w.admin.get("/v1/webhooks/erp-orders").want(http.StatusOK).has("profile", "standard-webhooks", "rateLimit.requests", "25", "metadata.team", "erp", "metadata.managed-by", "svix-ci")
		w.admin.get("/v1/webhooks/erp-all").want(http.StatusOK).has("enabled", "false")
		w.admin.get("/v1/webhooks/erp-large-orders").want(http.StatusOK).has("enabled", "true", "maxAttempts", "9", "signature.header", "X-Convoy-Signature")
		w.operator.post("/v1/webhooks/erp-large-orders/pause", nil).want(http.StatusOK) // nobody is at its address
		// Its filter says what Convoy's said.
		matches := func(entity string) string {
			w.t.Helper()
			id := w.publish(doc{"type": "order.refunded", "entity": json.RawMessage(entity)})
			a := w.viewer.get("/v1/events/" + id + "/matches").want(http.StatusOK)
			for i, code := range a.list("webhook.code") {
				if code == "erp-large-orders" {
					return a.text("data." + itoa(int64(i)) + ".matched")
				}
			}
			return "not listed"
		}
		for entity, want := range map[string]string{
			`{"total":100,"customer":{"country":"CH"},"kind":"b"}`: "true", `{"total":99,"customer":{"country":"CH"},"kind":"b"}`: "false",
			`{"total":100,"customer":{"country":"DE"},"kind":"b"}`: "false", `{"total":100,"customer":{"country":"CH"},"test":false}`: "true", `{"total":100,"customer":{"country":"CH"},"test":true}`: "false", `{}`: "false",
		} {
			if got := matches(entity); got != want {
				w.t.Errorf("%s matches: %s, want %s", entity, got, want)
			}
		}
	},
})
