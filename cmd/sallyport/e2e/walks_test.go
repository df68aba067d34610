package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// applyScript is what CI runs, word for word as the guide has it: apply or plan the files of a
// directory.
const applyScript = `#!/usr/bin/env bash
set -euo pipefail; : "${SALLYPORT_URL:?}" "${SALLYPORT_KEY:?}"
MODE=${1:-apply}; OWNER=managed-by:billing-ci; DRIFT=0; h=$(mktemp); trap 'rm -f "$h"' EXIT      # apply | plan
[[ $MODE = plan ]] && DRY='?dryRun=true' || DRY=
call() { curl -sS --fail-with-body -H @<(printf 'Authorization: Bearer %s' "$SALLYPORT_KEY") "$@"; }   # key not in argv
for f in webhooks/*.json; do
  code=$(basename "$f" .json); ref=$(jq -r '.secretFrom // empty' "$f"); unset SECRET
  if [[ $ref ]]; then export SECRET=${!ref:?"$ref is not set"}; fi      # stop, never send null
  jq 'del(.secretFrom) + (if env.SECRET then {secret: env.SECRET} else {} end)
      | .url |= sub("^\\$BASE"; env.RECEIVER_BASE) | .metadata += {"managed-by": "billing-ci"}' "$f" |
    call -D "$h" -o /dev/null -X PUT --json @- "$SALLYPORT_URL/v1/webhooks/$code$DRY"
  r=$(tr -d '\r' <"$h" | awk 'tolower($1)=="sallyport-result:"{print $2}')
  echo "$code: $r"; [[ $r = unchanged ]] || DRIFT=1
done
while read -r code; do
  echo "$code: not in the files"; DRIFT=1
  [[ $MODE = plan ]] || call -X DELETE "$SALLYPORT_URL/v1/webhooks/$code"
done < <(call -G "$SALLYPORT_URL/v1/webhooks" --data-urlencode "metadata=$OWNER" -d limit=500 | jq -r '.data[].code' |
         sort | comm -23 - <(ls webhooks | sed 's/\.json$//' | sort))
[[ $MODE = apply ]] || exit $DRIFT
`

// shell runs a script and returns what it printed and its exit code.
func (w *world) shell(dir, script string, args []string, environ ...string) (string, int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), longPatience)
	defer cancel()
	sh := exec.CommandContext(ctx, "bash", append([]string{"-c", script, "script"}, args...)...)
	sh.Dir = dir
	sh.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + w.t.TempDir(), "SALLYPORT_URL=" + w.url}, environ...)
	said, err := sh.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatalf("bash: %v\n%s", err, said)
	}
	return string(said), sh.ProcessState.ExitCode()
}

var _ = suite("walks", map[string]func(*world){
	"an integrator": func(w *world) {
		r := w.receiver()
		a := w.admin.post("/v1/webhooks", doc{"name": "ERP orders", "url": r.URL + "/hooks", "eventTypes": []string{"order.*"}, "generateSecret": true}).
			want(http.StatusCreated).heads("ETag", `"1"`).has("code", "erp-orders", "secrets.0.expiresAt", "")
		if secret := a.text("secret"); a.header.Get("Location") != "/v1/webhooks/"+a.text("id") || a.text("secrets.0.hint") != "…"+secret[len(secret)-4:] {
			w.t.Errorf("created at %s: %s", a.header.Get("Location"), a.body)
		}
		test := w.admin.post("/v1/webhooks/erp-orders/test", nil).want(http.StatusOK).has("outcome", "succeeded")
		w.signed(r.Wait(1)[0], a.text("secret"))
		event := doc{"id": "ord-7-paid", "type": "order.paid", "entityId": 7, "entity": doc{"total": 12}}
		w.admin.post("/v1/events", event).want(http.StatusAccepted).has("id", "ord-7-paid", "type", "order.paid", "matched", "1", "duplicate", "false")
		q := r.Wait(2)[1]
		w.signed(q, a.text("secret"))
		w.admin.post("/v1/events", event).want(http.StatusAccepted).has("duplicate", "true").heads("Idempotent-Replayed", "true")
		w.admin.post("/v1/events", event.with(doc{"entity": doc{"total": 13}})).problem(http.StatusConflict, "event_id_reused")
		if q.Header.Get("webhook-id") != "ord-7-paid" || test.text("request.body") == string(q.Body) {
			w.t.Errorf("the receiver knows it as %s", q.Header.Get("webhook-id"))
		}
		rotated := w.admin.post("/v1/webhooks/erp-orders/secret/rotate", doc{"overlap": "48h"}).want(http.StatusOK)
		got := w.admin.get("/v1/webhooks/erp-orders").want(http.StatusOK).has("secrets.0.expiresAt", rotated.text("previousExpiresAt"), "secrets.1.expiresAt", "", "secrets.2", "")
		if strings.Contains(string(got.body), "whsec_") {
			w.t.Errorf("secrets show: %s", got.body)
		}
		// Its receiver is taken down for good; he hears of it at another webhook.
		other := w.receiver()
		w.webhook(other, doc{"code": "mail", "eventTypes": []string{"Webhook.Suspended"}})
		r.Respond(statusAnswer(http.StatusGone))
		w.publish(doc{"type": "order.paid"})
		if told := other.Wait(1)[0]; !strings.Contains(string(told.Body), a.text("id")) {
			w.t.Errorf("told of the suspension: %s", told.Body)
		}
		w.admin.get("/v1/webhooks/erp-orders").want(http.StatusOK).has("state", "suspended", "stateReason", "gone", "enabled", "true")
		w.admin.get("/v1/webhooks/erp-orders/health").want(http.StatusOK).has("held", "0")
		// It is repaired, and he calls for what it missed.
		missed := w.publish(doc{"type": "order.shipped"})
		r.Respond(statusAnswer(http.StatusOK))
		resumed := w.admin.post("/v1/webhooks/erp-orders/resume", doc{"replay": "missed"}).want(http.StatusOK).has("released", "0", "webhook.state", "active")
		w.replayed(resumed.text("replayId")).has("total", "1", "done", "1")
		w.await(w.deliveryOf(missed), "succeeded").has("target.code", "erp-orders", "attempts.0.trigger", "replay")
	},
	"a CI script, twice": func(w *world) {
		r := w.receiver()
		dir := w.t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "webhooks"), 0o700); err != nil {
			w.t.Fatal(err)
		}
		file := func(code, content string) {
			if err := os.WriteFile(filepath.Join(dir, "webhooks", code+".json"), []byte(content), 0o600); err != nil {
				w.t.Fatal(err)
			}
		}
		const files = 30
		for n := range files {
			file("billing-"+strconv.Itoa(n), `{"url":"$BASE/hooks/`+strconv.Itoa(n)+`","eventTypes":["billing.n`+strconv.Itoa(n)+`"],"retry":{"schedule":["5s","300s"]}}`)
		}
		file("billing-0", `{"name":"With a secret","url":"$BASE/hooks/0","eventTypes":["order.*"],"secretFrom":"ERP_SECRET","basicAuth":{"username":"ci"},"metadata":{"team":"erp"}}`)
		secret, password := w.planted.given("from-the-ci-vault-"+random(20)), w.planted.given("basic-of-ci-"+random(12))
		// The password is set by hand once; files need not have it.
		w.admin.put("/v1/webhooks/billing-0", doc{"url": r.URL, "basicAuth": doc{"username": "ci", "password": password}}).want(http.StatusCreated)
		w.admin.put("/v1/webhooks/by-hand", doc{"url": r.URL, "eventTypes": []string{"none.such"}}).want(http.StatusCreated)
		environ := []string{"SALLYPORT_KEY=" + w.admin.key, "RECEIVER_BASE=" + r.URL, "ERP_SECRET=" + secret}
		run := func(mode string, environ []string) (string, int) {
			return w.shell(dir, applyScript, []string{mode}, environ...)
		}
		expect := func(mode string, code int, results map[string]int) {
			w.t.Helper()
			said, exit := run(mode, environ)
			for result, n := range results {
				if got := strings.Count(said, ": "+result+"\n"); got != n || exit != code {
					w.t.Fatalf("%s: exit %d, %d times %s; want exit %d, %d times\n%s", mode, exit, got, result, code, n, said)
				}
			}
		}
		expect("plan", 1, map[string]int{"created": files - 1, "updated": 1})
		if n := len(w.viewer.get("/v1/webhooks").want(http.StatusOK).list("id")); n != 2 {
			w.t.Fatalf("plan made webhooks: there are %d", n)
		}
		expect("apply", 0, map[string]int{"created": files - 1, "updated": 1})
		before, onRecord := w.viewer.get("/v1/webhooks?order=asc").want(http.StatusOK), w.admin.get("/v1/audit-log").want(http.StatusOK)
		expect("apply", 0, map[string]int{"unchanged": files})
		expect("plan", 0, map[string]int{"unchanged": files})
		if after := w.viewer.get("/v1/webhooks?order=asc").want(http.StatusOK); string(after.body) != string(before.body) {
			w.t.Errorf("the second run changed\n%s\nto\n%s", before.body, after.body)
		}
		if again := w.admin.get("/v1/audit-log").want(http.StatusOK); string(again.body) != string(onRecord.body) {
			w.t.Errorf("the second run is on record: %s", again.body)
		}
		w.admin.get("/v1/webhooks/billing-0").want(http.StatusOK).has("metadata.managed-by", "billing-ci", "metadata.team", "erp", "name", "With a secret")
		q := w.next(r, doc{"type": "order.paid"})
		w.signed(q, secret)
		if _, got, _ := basicAuth(q.Header); got != password {
			w.t.Errorf("the password is %q", got)
		}
		// An unset variable stops it, an error names the field, a file that is gone is pruned.
		if said, exit := run("apply", environ[:2]); exit == 0 || !strings.Contains(said, "ERP_SECRET is not set") {
			w.t.Errorf("without the secret: exit %d\n%s", exit, said)
		}
		const left = 5
		for n := left; n < files; n++ {
			if err := os.Remove(filepath.Join(dir, "webhooks", "billing-"+strconv.Itoa(n)+".json")); err != nil {
				w.t.Fatal(err)
			}
		}
		expect("plan", 1, map[string]int{"unchanged": left, "not in the files": files - left})
		expect("apply", 0, map[string]int{"unchanged": left, "not in the files": files - left})
		w.admin.get("/v1/webhooks/billing-7").problem(http.StatusNotFound, "not_found")
		w.admin.get("/v1/webhooks/by-hand").want(http.StatusOK)
		file("billing-1", `{"url":"$BASE/hooks/1","retry":{"schedule":["5s","1m","5 min"]}}`)
		said, exit := run("plan", environ)
		if exit == 0 || exit == 1 {
			w.t.Errorf("a fault exits with %d", exit)
		}
		w.admin.put("/v1/webhooks/billing-1", `{"url":"https://a.example","retry":{"schedule":["5s","1m","5 min"]}}`).
			fault("/retry/schedule/2", "invalid_duration").says(`"5 min" is not a duration`).says(`"5m"`).has("field", "retry.schedule[2]")
		if strings.Contains(said, secret) {
			w.t.Errorf("the script prints the secret:\n%s", said)
		}
	},
})
