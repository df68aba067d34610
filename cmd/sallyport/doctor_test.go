package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/hook"
	"sallyport/internal/store"
)

// wants are findings by check: a level and what the detail or the advice has.
type wants map[string][2]string

// hold fails the test unless each is among the findings.
func (w wants) hold(t *testing.T, why string, findings []finding) {
	t.Helper()
	for check, want := range w {
		found := false
		for _, f := range findings {
			found = found || f.Check == check && string(f.Level) == want[0] && strings.Contains(f.Detail+" -> "+f.Advice, want[1])
			if f.Level != fine && f.Advice == "" {
				t.Errorf("%s: %q says what is wrong and not what to do", why, f.Detail)
			}
		}
		if !found {
			t.Errorf("%s: nothing says %s %s: %q in\n%+v", why, check, want[0], want[1], findings)
		}
	}
}

// doctorOf runs the command on a place and returns what it found.
func (p *place) doctor(environ []string, args ...string) (code int, findings []finding) {
	p.t.Helper()
	code, said := p.runWith(environ, append([]string{"doctor", "--json"}, args...)...)
	said = strings.TrimSuffix(said, "sallyport: "+errUnwell.Error()+"\n")
	var out struct {
		OK     bool
		Checks []finding
	}
	if err := json.Unmarshal([]byte(said), &out); err != nil || out.OK != (code == exitOK) {
		p.t.Fatalf("%d, %v: %s", code, err, said)
	}
	return code, out.Checks
}

// A closed port, so that nobody answers.
const nowhere = "SALLYPORT_ADDR=127.0.0.1:1"

func TestDoctorOnAHealthyPlace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, said := p.runWith([]string{nowhere}, "doctor")
	for _, line := range []string{"ok    settings ", "ok    data ", "ok    schema ", "ok    database    sqlite 3.", "ok    clock ", "warn  nodes       none is alive", "ok    hold ", "ok    key ",
		"ok    egress      public addresses only", "ok    mail ", "warn  base URL    nobody answers", "                  -> start `sallyport serve`"} {
		if !strings.Contains(said, line) {
			t.Errorf("nothing says %q", line)
		}
	}
	if n := strings.Count("\n"+said, "\nfail "); n > strings.Count(said, "fail  dns ") { // which is this machine's affair
		t.Errorf("%d fail", n)
	}
	if t.Failed() {
		t.Log(said)
	}
}

func TestDoctorSeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	file := func(p *place, name, text string) string {
		path := p.file(name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for why, c := range map[string]struct {
		breaks  func(p *place) []string // environ
		args    []string
		fails   bool
		finds   wants
		onLinux bool
	}{
		"settings": {breaks: func(*place) []string { return []string{"SALLYPORT_MAX_SLOTS=0", "SALLYPORT_LOG_LEVEL=loud"} }, fails: true,
			finds: wants{"settings": {"fail", "SALLYPORT_LOG_LEVEL=loud must be"}}},
		"a mistyped setting": {breaks: func(*place) []string { return []string{"SALLYPORT_HOLDS=1"} }, finds: wants{"settings": {"warn", "SALLYPORT_HOLD"}}},
		"a data directory that is none": {breaks: func(p *place) []string { return []string{"SALLYPORT_DATA_DIR=" + file(p, "x", "")} }, fails: true,
			finds: wants{"data": {"fail", "is no directory"}}},
		"a data directory to come": {breaks: func(p *place) []string { return []string{"SALLYPORT_DATA_DIR=" + p.file("none")} },
			finds: wants{"data": {"warn", "is not there"}, "database": {"warn", "there is none"}}},
		"a data directory of others": {breaks: func(*place) []string { return []string{"SALLYPORT_DATA_DIR=/proc"} }, fails: true, onLinux: true,
			finds: wants{"data": {"fail", "nothing can be written"}}},
		"rights": {breaks: func(p *place) []string {
			if err := errors.Join(os.Chmod(p.dir, 0o755), os.Chmod(filepath.Join(p.dir, "encryption.key"), 0o644)); err != nil {
				t.Fatal(err)
			}
			return nil
		}, finds: wants{"data": {"warn", "chmod 600"}}},
		"a full disk": {breaks: func(*place) []string { return []string{"SALLYPORT_MIN_FREE_DISK=1048576GiB"} }, fails: true, finds: wants{"data": {"fail", "lower SALLYPORT_MIN_FREE_DISK"}}},
		"presets":     {breaks: func(*place) []string { return []string{"SALLYPORT_PRESETS_DIR=/none"} }, fails: true, finds: wants{"files": {"fail", "SALLYPORT_PRESETS_DIR"}}},
		"commands":    {breaks: func(*place) []string { return []string{"SALLYPORT_COMMANDS=/none"} }, fails: true, finds: wants{"files": {"fail", "SALLYPORT_COMMANDS"}}},
		"a certificate that is none": {breaks: func(p *place) []string {
			f := file(p, "c", "none")
			return []string{"SALLYPORT_TLS_CERT=" + f, "SALLYPORT_TLS_KEY=" + f}
		}, fails: true, finds: wants{"certificate": {"fail", "SALLYPORT_TLS_CERT"}}},
		"a database that is away": {breaks: func(*place) []string { return []string{"SALLYPORT_DATABASE_URL=postgres://u:planted@127.0.0.1:1/x"} }, fails: true, finds: wants{"database": {"fail", "see SALLYPORT_DATABASE_URL"}}},
		"a newer schema": {breaks: func(p *place) []string {
			p.sql("INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)")
			return nil
		}, fails: true, finds: wants{"schema": {"fail", "9000"}}},
		"an older schema": {breaks: func(p *place) []string { p.sql("DELETE FROM goose_db_version WHERE version_id > 3"); return nil }, finds: wants{"schema": {"warn", "the database has schema 3"}}},
		"an empty database": {breaks: func(p *place) []string {
			return []string{"SALLYPORT_DATA_DIR=" + filepath.Dir(file(p, "sallyport.db", ""))}
		}, finds: wants{"database": {"warn", "is empty"}}},
		"another key": {breaks: func(*place) []string { return []string{"SALLYPORT_ENCRYPTION_KEY=" + oneKey} }, fails: true, finds: wants{"key": {"fail", "does not match this database -> give the key of the last `sallyport keys rotate-master`"}}},
		"a lost key":  {breaks: func(p *place) []string { _ = os.Remove(filepath.Join(p.dir, "encryption.key")); return nil }, fails: true, finds: wants{"key": {"fail", "encryption.key"}}},
		"a hold": {breaks: func(p *place) []string {
			p.sql(`INSERT INTO settings VALUES ('dispatch.hold', '{"hold":true,"since":"2026-11-21T02:13:00Z"}')`)
			return nil
		}, finds: wants{"hold": {"warn", "since 2026-11-21T02:13:00Z"}}},
		"a silent node": {breaks: func(p *place) []string {
			p.sql("INSERT INTO nodes (instance, name, started_at, beat_at, floor_id) VALUES ('i', 'gone', 1, 1, x'00')")
			return nil
		}, finds: wants{"nodes": {"warn", "gone has been silent"}}},
		"everything open":              {breaks: func(*place) []string { return []string{"SALLYPORT_EGRESS_ALLOW=0.0.0.0/0"} }, finds: wants{"egress": {"warn", "metadata"}}},
		"a proxy that is away":         {breaks: func(*place) []string { return []string{"SALLYPORT_EGRESS_PROXY=http://u:planted@127.0.0.1:1"} }, fails: true, finds: wants{"egress": {"fail", "the proxy 127.0.0.1:1 does not answer"}}},
		"everybody is a proxy":         {breaks: func(*place) []string { return []string{"SALLYPORT_TRUSTED_PROXIES=10.0.0.0/8,::/0"} }, finds: wants{"proxy": {"warn", "::/0 trusts everybody"}}},
		"a receiver that is no URL":    {args: []string{"--url", "127.0.0.1"}, fails: true, finds: wants{"receiver": {"fail", "is no http://"}}},
		"a receiver without a name":    {args: []string{"--url", "https://sallyport-doctor.invalid/x"}, fails: true, finds: wants{"receiver": {"fail", "cannot be resolved"}}},
		"a private receiver":           {args: []string{"--url", "http://localhost:1/planted"}, fails: true, finds: wants{"receiver": {"fail", "SALLYPORT_EGRESS_ALLOW=localhost"}}},
		"a receiver that is away":      {breaks: func(*place) []string { return []string{"SALLYPORT_EGRESS_ALLOW=127.0.0.0/8"} }, args: []string{"--url", "http://127.0.0.1:1/planted"}, fails: true, finds: wants{"receiver": {"fail", "no connection to 127.0.0.1:1"}}},
		"a mail server without sender": {breaks: func(*place) []string { return []string{"SALLYPORT_SMTP_URL=smtp://127.0.0.1:1"} }, fails: true, finds: wants{"mail": {"fail", "SALLYPORT_MAIL_FROM"}}},
		"a mail server that is away":   {breaks: func(*place) []string { return []string{"SALLYPORT_SMTP_URL=smtp://a%40b.example:planted@127.0.0.1:1"} }, fails: true, finds: wants{"mail": {"fail", "connection refused"}}},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat("/proc/self"); c.onLinux && err != nil {
				t.Skip("there is no /proc")
			}
			p := newPlace(t)
			environ := []string{nowhere}
			if c.breaks != nil {
				environ = append(environ, c.breaks(p)...)
			}
			code, findings := p.doctor(environ, c.args...)
			failed := false
			for _, f := range findings {
				failed = failed || f.Level == fail && f.Check != "dns" // which is this machine's affair
			}
			if failed != c.fails || failed && code != exitError {
				t.Errorf("exit code %d: %+v", code, findings)
			}
			c.finds.hold(t, why, findings)
			if all := fmt.Sprint(findings); strings.Contains(all, "planted") || strings.Contains(all, oneKey) {
				t.Errorf("a secret is shown: %s", all)
			}
		})
	}
}

func TestDoctorJudges(t *testing.T) {
	t.Parallel()
	now := time.Now()
	healthy := func() *store.Diagnosis {
		return &store.Diagnosis{Version: "15", Latency: time.Millisecond, Postgres: &store.PostgresDiagnosis{
			Fsync: "on", FullPageWrites: "on", SynchronousCommit: "on", Connections: 5, MaxConnections: 100,
		}, Nodes: []store.NodeSeen{{Name: "a", Silent: time.Second}}}
	}
	for why, c := range map[string]struct {
		change func(*store.Diagnosis)
		finds  wants
	}{
		"healthy":         {func(*store.Diagnosis) {}, wants{"database": {"ok", "no synchronous standby"}, "clock": {"ok", "agrees"}, "nodes": {"ok", "1 alive"}, "hold": {"ok", ""}}},
		"far away":        {func(d *store.Diagnosis) { d.Latency = 50 * time.Millisecond }, wants{"database": {"warn", "50ms"}}},
		"a standby":       {func(d *store.Diagnosis) { d.Postgres.InRecovery = true }, wants{"database": {"fail", "target_session_attrs"}}},
		"no fsync":        {func(d *store.Diagnosis) { d.Postgres.Fsync = "off" }, wants{"database": {"fail", "fsync is off"}}},
		"no full pages":   {func(d *store.Diagnosis) { d.Postgres.FullPageWrites = "off" }, wants{"database": {"fail", "full_page_writes off"}}},
		"async commits":   {func(d *store.Diagnosis) { d.Postgres.SynchronousCommit = "off" }, wants{"database": {"fail", "answered 202"}}},
		"standbys":        {func(d *store.Diagnosis) { d.Postgres.SynchronousStandbyNames = "ANY 1 (b, c)" }, wants{"database": {"ok", "ANY 1 (b, c)"}}},
		"few connections": {func(d *store.Diagnosis) { d.Postgres.Connections = 90 }, wants{"database": {"warn", "90 of 100"}}},
		"a forgotten psql": {func(d *store.Diagnosis) {
			d.Postgres.OldestTransaction, d.Postgres.Holder = time.Hour, "process 7 (psql, idle in transaction)"
		}, wants{"database": {"warn", "psql"}}},
		"clocks apart":      {func(d *store.Diagnosis) { d.Skew = -time.Minute }, wants{"clock": {"warn", "differ by 1m0s"}}},
		"a clock gone back": {func(d *store.Diagnosis) { d.Newest = now.Add(time.Hour) }, wants{"clock": {"fail", "has not come yet"}}},
		"nobody alive":      {func(d *store.Diagnosis) { d.Nodes[0].Silent = time.Hour }, wants{"nodes": {"warn", "none is alive"}}},
		"on hold":           {func(d *store.Diagnosis) { d.Hold = hook.Hold{On: true, Since: now} }, wants{"hold": {"warn", "/v1/dispatch/release"}}},
	} {
		d := &doctor{cfg: config.Default()}
		facts := healthy()
		c.change(facts)
		d.judgeDatabase("here", store.Postgres, facts)
		d.clock(facts, now)
		d.nodes(facts)
		c.finds.hold(t, why, d.findings)
	}

	d := &doctor{cfg: config.Default()}
	d.fileLimit(1024)
	wants{"open files": {"warn", "ulimit -n"}}.hold(t, "few files", d.findings)
	d = &doctor{cfg: config.Default()}
	d.room(300 << 20)
	wants{"data": {"warn", "300.0 MiB free"}}.hold(t, "little room", d.findings)
	d = &doctor{cfg: config.Default()}
	d.cfg.DatabaseURL = "postgres://x"
	if d.schema(3, 9) {
		t.Error("it looks into a database of another schema")
	}
	wants{"schema": {"fail", "sallyport migrate"}}.hold(t, "a pending Postgres", d.findings)
	for until, want := range map[time.Duration][2]string{-time.Hour: {"fail", "expired"}, time.Hour: {"warn", "expires"}, 90 * 24 * time.Hour: {"ok", "valid"}} {
		d = &doctor{}
		d.validity(&x509.Certificate{NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(until)}, now)
		wants{"certificate": want}.hold(t, "a certificate", d.findings)
	}
	d = &doctor{}
	d.validity(&x509.Certificate{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)}, now)
	wants{"certificate": {"fail", "not valid before"}}.hold(t, "a certificate to come", d.findings)
	d = &doctor{resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("cut off") }}}
	d.dns(t.Context())
	wants{"dns": {"fail", "resolv.conf"}}.hold(t, "a resolver that is away", d.findings)
}

// The way from outside to the server, with all that may stand in it.
func TestDoctorAsksTheServer(t *testing.T) {
	t.Parallel()
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, strings.ReplaceAll(body, "BASE", "http://"+r.Host))
		}
	}
	answer := func(version, base, forwarded string) string {
		return fmt.Sprintf(`{"version":%q,"baseUrl":%q,"yourAddress":"203.0.113.9","peerAddress":"10.0.0.2","forwardedBy":%s}`, version, base, forwarded)
	}
	for why, c := range map[string]struct {
		handler http.HandlerFunc
		trusted string
		admin   bool // it has a listener of its own
		noKey   bool
		finds   wants
	}{
		"all is well":      {says(200, answer(version, "BASE", `"X-Forwarded-For"`)), "10.0.0.0/8", false, false, wants{"base URL": {"ok", "answers"}, "proxy": {"ok", "says that we are 203.0.113.9"}}},
		"untrusted":        {says(200, answer(version, "BASE", "null")), "", false, false, wants{"proxy": {"warn", "SALLYPORT_TRUSTED_PROXIES=10.0.0.2"}}},
		"a silent proxy":   {says(200, answer(version, "BASE", "null")), "10.0.0.0/8", false, false, wants{"proxy": {"warn", "X-Forwarded-For"}}},
		"another base URL": {says(200, answer(version, "http://else.example", "null")), "", false, false, wants{"base URL": {"fail", "http://else.example"}}},
		"another version":  {says(200, answer("0.0.1", "BASE", "null")), "", false, false, wants{"base URL": {"warn", "of version 0.0.1"}}},
		"another service":  {says(200, "<html>"), "", false, false, wants{"base URL": {"fail", "something else"}}},
		"not routed":       {says(404, ""), "", false, false, wants{"base URL": {"fail", "answers 404"}}},
		"another's key":    {says(401, ""), "", false, false, wants{"base URL": {"warn", "refuses the key"}}},
		"no key":           {says(401, ""), "", false, true, wants{"base URL": {"ok", "leads to a Sallyport"}}},
		"doors only":       {says(200, `{"status":"ok"}`), "", true, false, wants{"base URL": {"ok", "leads here"}}},
		"no doors":         {says(502, ""), "", true, false, wants{"base URL": {"warn", "the proxy's route"}}},
	} {
		server := httptest.NewServer(c.handler)
		d := &doctor{cfg: config.Default()}
		d.cfg.BaseURL, d.cfg.DataDir = server.URL, t.TempDir()
		if !c.noKey {
			d.cfg.AdminKey = "the-key-of-the-doctor-0123456789abcdef"
		}
		if c.trusted != "" {
			d.cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
		}
		if c.admin {
			d.cfg.AdminAddr = "127.0.0.1:1"
		}
		d.server(t.Context())
		c.finds.hold(t, why, d.findings)
		server.Close()
	}
	proxy := httptest.NewServer(says(200, ""))
	defer proxy.Close()
	d := &doctor{cfg: config.Default(), url: "https://a.example", resolver: net.DefaultResolver}
	d.cfg.EgressProxy = proxy.URL
	d.egress(t.Context())
	wants{"egress": {"ok", "which decides"}}.hold(t, "a proxy", d.findings)
	wants{"egress": {"warn", "--url is not tried"}}.hold(t, "a proxy", d.findings)
	// The receiver's side of --url.
	secure := httptest.NewTLSServer(says(200, ""))
	defer secure.Close()
	for address, want := range map[string][2]string{secure.URL: {"fail", "no TLS with 127.0.0.1"}, strings.Replace(secure.URL, "https", "http", 1): {"ok", "takes connections"}} {
		d := &doctor{cfg: config.Default(), url: address, resolver: net.DefaultResolver}
		d.cfg.EgressAllow = []string{"127.0.0.1"}
		d.egress(t.Context())
		wants{"receiver": want}.hold(t, address, d.findings)
	}
}
