package e2e

import (
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

// The third party at the door: who calls, what they send, what they are answered.
var _ = suite("walk: a third party at the door", map[string]func(*world){
	"GitHub": func(w *world) {
		secret := w.planted.given("github-" + random(20))
		r := w.sink("deploy")
		w.typed(`
api -X PUT --json '{"name":"GitHub","secrets":[{"name":"gh","value":"'"$GH_SECRET"'"}],
  "preProcessors":[{"type":"signature","preset":"github","secrets":["gh"]}],
  "routes":[{"action":"deploy","condition":"request.headers[\"X-GitHub-Event\"] == \"push\""}]}' $B/v1/incoming-webhooks/github | jq -c '[.code,.state,.warnings,.secrets]'
# again, as a script does
api -o /dev/null -D - -X PUT --json '{"name":"GitHub","secrets":[{"name":"gh","value":"'"$GH_SECRET"'"}],
  "preProcessors":[{"type":"signature","preset":"github","secrets":["gh"]}],
  "routes":[{"action":"deploy","condition":"request.headers[\"X-GitHub-Event\"] == \"push\""}]}' $B/v1/incoming-webhooks/github | tr -d '\r' | grep -i '^sallyport-result'`,
			`["github","active",[],[{"hint":"…`+secret[len(secret)-4:]+`","name":"gh"}]]
Sallyport-Result: unchanged`, "GH_SECRET="+secret)
		// A ping, a push and its redelivery, and one that was refused first.
		said := w.typed(`
hub() { # EVENT GUID SECRET BODY
  curl -sS --json "$4" -H "X-GitHub-Event: $1" -H "X-GitHub-Delivery: $2" -H "X-Hub-Signature-256: sha256=$(printf %s "$4" | mac "$3")" "$D/in/github" | jq -c '[.status,.code,.requestId,.events,.deliveries,.duplicate]'
}
hub ping 72d3162e-0 "$GH_SECRET" '{"zen":"Keep it logically awesome."}'
hub push 72d3162e-1 "$GH_SECRET" '{"ref":"refs/heads/main"}'
hub push 72d3162e-1 "$GH_SECRET" '{"ref":"refs/heads/main"}'
hub push 72d3162e-2 another '{"ref":"refs/heads/next"}'
hub push 72d3162e-2 "$GH_SECRET" '{"ref":"refs/heads/next"}'`, `
[null,null,"…",1,0,null]
[null,null,"…",1,1,null]
[null,null,"…",0,0,true]
[403,"signature_mismatch","…",null,null,null]
[null,null,"…",1,1,null]`, "GH_SECRET="+secret)
		lines := strings.Split(said, "\n")
		if strings.Replace(lines[1], ",1,1,null]", ",0,0,true]", 1) != lines[2] {
			w.t.Errorf("the redelivery is answered %s, the first %s", lines[2], lines[1])
		}
		got := bodies(r.Wait(2))
		if len(got) != 2 || !strings.Contains(strings.Join(got, ""), "main") || !strings.Contains(strings.Join(got, ""), "next") {
			w.t.Errorf("deployed %q", got)
		}
		// 25 MB are possible, if the door says so.
		w.typed(`
{ printf '{"ref":"refs/heads/large","commits":['; for i in {1..20}; do printf '"%0100000d",' $i; done; printf '""]}'; } >large.json
push() { curl -sS --json @large.json -H "X-GitHub-Event: push" -H "X-GitHub-Delivery: $1" -H "X-Hub-Signature-256: sha256=$(mac "$GH_SECRET" <large.json)" "$D/in/github" | jq -r '.code // .events'; }
push 72d3162e-3
api -X PATCH --json '{"maxBodyBytes":26214400}' $B/v1/incoming-webhooks/github | jq .maxBodyBytes
push 72d3162e-4
api -X PATCH --json '{"maxBodyBytes":26214401}' $B/v1/incoming-webhooks/github 2>/dev/null | jq -r '.errors[0].code' || true`, `
payload_too_large
26214400
1
out_of_range`, "GH_SECRET="+secret)
	},
	"Stripe": func(w *world) {
		now, next := w.planted.given("whsec_stripe"+random(20)), w.planted.given("whsec_rolled"+random(20))
		w.action("book", "publishEvent", doc{"type": "paid"})
		w.typed(`
api -X PUT --json '{"name":"Stripe","secrets":[{"name":"now","value":"'"$NOW"'"},{"name":"next","value":"'"$NEXT"'"}],
  "preProcessors":[{"type":"signature","preset":"stripe","secrets":["now","next"]}],"routes":[{"action":"book"}]}' $B/v1/incoming-webhooks/stripe >/dev/null
stripe() { # TIME SECRETS... -- signs with each
  local t=$1 body='{"id":"evt_'$RANDOM$RANDOM'","type":"invoice.paid"}' header="t=$1"; shift
  for secret in "$@"; do header+=",v1=$(printf '%s.%s' $t "$body" | mac "$secret")"; done
  curl -sS --json "$body" -H "Stripe-Signature: $header" $D/in/stripe | jq -c '[.code,.events,.deliveries]'
}
stripe $(date +%s) "$NOW"
stripe $(date +%s) "$NOW" "$NEXT"
stripe $(date +%s) other "$NEXT"
stripe $(date -d '-6 minutes' +%s) "$NOW"
stripe $(date +%s) other`, `
[null,1,1]
[null,1,1]
[null,1,1]
["signature_expired",null,null]
["signature_mismatch",null,null]`, "NOW="+now, "NEXT="+next)
	},
	"Slack": func(w *world) {
		secret := w.planted.given("slack-" + random(20))
		r := w.sink("answer")
		r.Respond(testkit.Answer{Body: `{"text":"81 degrees"}`})
		w.typed(`
api -X PUT --json '{"name":"Slack","secrets":[{"name":"signing","value":"'"$SECRET"'"}],
  "preProcessors":[{"type":"signature","preset":"slack","secrets":["signing"]}],"routes":[{"action":"answer"}],
  "response":{"mode":"wait","status":200,"timeout":"25s","body":"{{ results[0].body|raw }}","headers":[{"name":"Content-Type","value":"application/json"}]}}' $B/v1/incoming-webhooks/slack >/dev/null
slack() { # CONTENT-TYPE BODY
  local t=$(date +%s)
  code -H "Content-Type: $1" -d "$2" -H "X-Slack-Request-Timestamp: $t" -H "X-Slack-Signature: v0=$(printf 'v0:%s:%s' $t "$2" | mac "$SECRET")" $D/in/slack
}
slack application/json '{"type":"url_verification","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}'
# a slash command is a form, and wants its answer in three seconds
slack application/x-www-form-urlencoded 'command=%2Ftemperature&text=press7&team_id=T1'`, `
3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P
200
{"text":"81 degrees"}
200`, "SECRET="+secret)
		w.until(`api "$B/v1/requests?code=slack&order=asc" | jq -c '.data[] | [.verdict,.eventCount]'`, `
["handshake",0]
["accepted",1]`)
		if got := bodies(r.Received()); len(got) != 1 || !strings.Contains(got[0], `"command":"/temperature"`) {
			w.t.Errorf("the action got %q", got)
		}
	},
	"Meta and Trello": func(w *world) {
		secret, token := w.planted.given("of-the-app-"+random(20)), w.planted.given("verify-token-"+random(20))
		w.typed(`
api -X PUT --json '{"name":"Meta","secrets":[{"name":"app","value":"'"$SECRET"'"},{"name":"verify","value":"'"$TOKEN"'"}],
  "preProcessors":[{"type":"signature","preset":"meta","secrets":["app"],"handshake":["verify"]}]}' $B/v1/incoming-webhooks/meta >/dev/null
api -X PUT --json '{"name":"Trello","secrets":[{"name":"app","value":"'"$SECRET"'"}],
  "preProcessors":[{"type":"signature","preset":"trello","secrets":["app"]}]}' $B/v1/incoming-webhooks/trello >/dev/null
code "$D/in/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=$TOKEN"
curl -sS -o /dev/null -w '%{http_code}\n' "$D/in/meta?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=guessed"
curl -sS -I -o /dev/null -w '%{http_code}\n' "$D/in/trello"
# only the handshake needs no signature
curl -sS --json '{"object":"page"}' $D/in/meta | jq -r .code
body='{"object":"page"}'
curl -sS --json "$body" -H "X-Hub-Signature-256: sha256=$(printf %s "$body" | mac "$SECRET")" $D/in/meta | jq -c .events`, `
1158201444
200
403
200
signature_missing
1`, "SECRET="+secret, "TOKEN="+token)
	},
	"a PLC with HTTP/1.0 and a slow clock": func(w *world) {
		secret := w.planted.given("press-" + random(20))
		r := w.sink("press")
		said := w.typed(`
api -X PUT --json '{"name":"Press 7","methods":["GET"],"secrets":[{"name":"plc","value":"'"$SECRET"'"}],"hash":"{{ (secrets.plc ~ \"now\"|date(\"Y-m-d_H-i\"))|md5 }}",
  "response":{"status":200,"body":"OK"},"routes":[{"action":"press"}]}' $B/v1/incoming-webhooks/press7 | jq -c .warnings
hash() { printf '%s%s' "$1" "$(date -u -d '-20 seconds' +%Y-%m-%d_%H-%M)" | md5sum | cut -d' ' -f1; }
code -0 "$D/in/press7?temp=81&hash=$(hash "$SECRET")"
code -0 "$D/in/press7?temp=81&hash=$(hash another)" | jq -r '.code? // .'
hash "$SECRET"`, `
["hash_md5"]
OK
200
hash_mismatch
403
…`, "SECRET="+secret)
		if got := r.Wait(1)[0]; string(got.Body) != `{"temp":"81"}` {
			w.t.Errorf("the item is %s", got.Body)
		}
		lines := strings.Split(strings.TrimSpace(said), "\n")
		expected := w.planted.given(lines[len(lines)-1]) // the log and the history must not know it
		w.until(`api "$B/v1/requests?code=press7&order=asc" | jq -c '.data[] | [.verdict,.reason,.url,.clockOffset != null]'`, `
["accepted",null,"…/in/press7?temp=81&hash=[redacted]",true]
["refused","hash_mismatch","…/in/press7?temp=81&hash=[redacted]",false]`)
		w.typed(`R=$(api "$B/v1/requests?code=press7&verdict=refused" | jq -r '.data[0].id'); api $B/v1/requests/$R | jq -r '(.checks[] | select(.check=="hash") | .detail), (tostring | contains(env.EXPECTED))'`,
			"no instant within 30s matched\nfalse", "EXPECTED="+expected)
	},
	"an ERP with 64 kbit/s that waits for 100 Continue and tries again": func(w *world) {
		w.action("keep", "upsertRecord", doc{"collection": "stock", "key": "{{ item.sku }}"})
		said := w.typed(`
api -X PUT --json '{"name":"ERP stock","methods":["PUT"],"parser":{"type":"csv","delimiter":";","encoding":"windows-1252"},
  "dedupe":{"key":"{{ request.rawBody|sha256 }}"},"routes":[{"action":"keep","condition":"item.sku ends with \"00\""}]}' $B/v1/incoming-webhooks/erp-stock | jq -c .warnings
{ printf 'sku;name;menge\r\n'; for i in {1..600}; do printf 'A-%04d;Gr\xf6\xdfe;%d\r\n' $i $((i % 7)); done; } >stock.csv
wc -c <stock.csv
upload() { curl -sS -v --limit-rate 8000 -H 'Expect: 100-continue' -H 'Content-Type: text/csv' -T stock.csv "$D/in/erp-stock" 2>log | jq -c '[.requestId,.events,.deliveries,.duplicate]'; grep -o 'HTTP/1.1 100 Continue' log; }
upload
upload`, `
["no_check"]
9616
["…",600,0,null]
HTTP/1.1 100 Continue
["…",0,0,true]
HTTP/1.1 100 Continue`)
		lines := strings.Split(said, "\n")
		if first, _, _ := strings.Cut(lines[2], ","); !strings.HasPrefix(lines[4], first+",") {
			w.t.Errorf("the repeat is answered %s, the first %s", lines[4], lines[2])
		}
		w.until(`api $B/v1/collections/stock/records | jq -c '[.data[] | [.key,.document.name,.version]] | sort'`,
			`[["A-0100","Größe",1],["A-0200","Größe",1],["A-0300","Größe",1],["A-0400","Größe",1],["A-0500","Größe",1],["A-0600","Größe",1]]`)
	},
	"somebody who pretends to come from another address": func(w *world) {
		w.typed(`
api -X PUT --json '{"name":"Inside","ipAllowList":["203.0.113.9"]}' $B/v1/incoming-webhooks/inside >/dev/null
curl -sS --json '{}' -H 'X-Forwarded-For: 203.0.113.9' $D/in/inside | jq -r .code
api "$B/v1/requests?code=inside" | jq -c '.data[] | [.clientAddress,.peerAddress,.forwardedBy]' || true`, "ip_not_allowed\n…")
		w.until(`api "$B/v1/requests?code=inside" | jq -c '.data[] | [.clientAddress,.peerAddress,.forwardedBy]'`, `["127.0.0.1","127.0.0.1",null]`)
	},
	"a prober": func(w *world) {
		w.typed(`
api -X PUT --json '{"name":"Plain"}' $B/v1/incoming-webhooks/plain >/dev/null
api -X PUT --json '{"name":"Hashed","hash":"'"$SECRET"'"}' $B/v1/incoming-webhooks/hashed >/dev/null
head() { tr -d '\r' | grep -iE '^(HTTP|allow:)' | sort; }
curl -sS -i -X OPTIONS $D/in/plain | head
curl -sS -I $D/in/plain | head
code --json '{}' $D/in/unknown | jq -r '.code? // .'
code --json '{}' -g "$D/in/hashed?hash[]=x" | jq -r '.code? // .'`, `
Allow: …POST…
HTTP/1.1 204 No Content
Allow: …POST…
HTTP/1.1 405 Method Not Allowed
not_found
404
hash_missing
403`, "SECRET="+w.planted.given("static-"+random(20)))
		w.until(`api "$B/v1/requests?code=unknown" | jq -c '.data[] | [.verdict,.reason,.incomingWebhook]'`, `["refused","not_found",null]`)
	},
})

// testWalkBehindProxy: a proxy that takes a prefix off the path and says for whom it calls, as
// nginx does when it is told to.
func testWalkBehindProxy(t *testing.T, s *server) {
	address := testkit.FreeAddr(t)
	target, err := url.Parse("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		p.Out.URL.Path = strings.TrimPrefix(p.In.URL.Path, "/hooks")
		p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"] // nginx appends, too
		p.SetXForwarded()
	}}
	nginx := httptest.NewServer(forward)
	t.Cleanup(nginx.Close)
	proxy := nginx.URL
	s.launch("SALLYPORT_ADDR="+address, "SALLYPORT_BASE_URL="+proxy+"/hooks", "SALLYPORT_TRUSTED_PROXIES=127.0.0.0/8")
	s.url = "http://" + address
	s.awaitReady()
	w := newWorld(t, s)
	w.typed(`
api $P/v1/info | jq -c '[.baseUrl,.yourAddress,.peerAddress,.forwardedBy]'
curl -sS -H "Authorization: Bearer $SALLYPORT_KEY" -H 'X-Forwarded-For: 203.0.113.9' $P/v1/info | jq -c '[.yourAddress,.peerAddress,.forwardedBy]'
U=$(api -X PUT --json '{"name":"Outside","ipAllowList":["203.0.113.9"]}' $P/v1/incoming-webhooks/outside | jq -r .url); echo "$U"
curl -sS --json '{}' -H 'X-Forwarded-For: 203.0.113.9' "$U" | jq -c '[.code,.events]'
curl -sS --json '{}' -H 'X-Forwarded-For: 203.0.113.9, 198.51.100.7' "$U" | jq -c '[.code,.events]'
curl -sS --json '{}' "$U" | jq -c '[.code,.events]'`, `
["`+proxy+`/hooks/w/`+w.workspace+`","127.0.0.1","127.0.0.1","X-Forwarded-For"]
["203.0.113.9","127.0.0.1","X-Forwarded-For"]
`+proxy+`/hooks/w/`+w.workspace+`/in/outside
[null,1]
["ip_not_allowed",null]
["ip_not_allowed",null]`, "P="+proxy+"/hooks")
	s.stop()
}
