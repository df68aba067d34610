package e2e

import (
	"context"
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the driver to break a database with
)

// testTrouble has servers of their own for what a shared one cannot go through. seen gets the
// problem codes they answered.
func testTrouble(t *testing.T, engine string, seen *codesSeen) {
	for name, test := range map[string]func(*testing.T, *server){
		"the guard": testGuard, "a nearly full disk": testFullDisk, "a broken database": testBroken, "a database that is away": testAway, "a restart": testRestart,
		"behind a proxy": testProxy, "walk: behind nginx": testWalkBehindProxy, "walk: an integrator": testWalkIntegrator, "signed URLs": testSignedURLs, "an address for administrators": testAdminAddress,
		"doors in AtroCore's spelling": testAtroCore, "mail and commands": testMailAndCommands, "alert mail": testAlertMail, "streams": testStreamRestart, "a listener": testListen,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := prepare(t, engine)
			test(t, s)
			seen.add(s.validator.Codes())
			checkLog(t, s)
		})
	}
}

// testGuard: without the setting nothing reaches this machine.
func testGuard(t *testing.T, s *server) {
	s.launch()
	s.awaitReady()
	w := newWorld(t, s)
	r := w.receiver()
	named := strings.Replace(r.URL, "127.0.0.1", "localhost", 1)
	w.admin.post("/v1/webhooks", doc{"code": "literal", "url": r.URL}).fault("/url", "url_not_allowed").says("SALLYPORT_EGRESS_ALLOW")
	w.admin.post("/v1/webhooks", doc{"code": "decimal", "url": "http://2130706433/"}).fault("/url", "url_not_allowed")
	w.admin.post("/v1/webhooks", doc{"code": "named", "url": named, "retry": doc{"schedule": []string{"100ms"}}}).want(http.StatusCreated)
	w.admin.put("/v1/webhooks/named", doc{"url": r.URL}).fault("/url", "url_not_allowed")
	// A name is looked up when it is sent to, and the answer is final.
	w.deliver(doc{"type": "a.b"}, "failed").has("stateReason", "permanent_error", "attemptCount", "1", "lastAttempt.errorClass", "egress_denied", "lastAttempt.status", "", "attempts.0.response", "")
	test := w.operator.post("/v1/webhooks/named/test", nil).want(http.StatusOK).has("outcome", "failed", "errorClass", "egress_denied")
	if !strings.Contains(test.text("error"), "SALLYPORT_EGRESS_ALLOW") {
		t.Errorf("the error is %q", test.text("error"))
	}
	guardedEverywhere(w, named)
	if n := len(r.Received()); n != 0 {
		t.Errorf("%d requests came through", n)
	}
	s.stop()
	// A name that is allowed is sent to, its address is not for others.
	again := s.again("SALLYPORT_EGRESS_ALLOW=localhost")
	for _, c := range []*caller{w.admin, w.operator, w.viewer, w.publisher} {
		c.s = again
	}
	w.admin.post("/v1/webhooks", doc{"code": "literal", "url": r.URL}).fault("/url", "url_not_allowed")
	w.operator.post("/v1/webhooks/named/test", nil).want(http.StatusOK).has("outcome", "succeeded")
	again.stop()
}

// guardedEverywhere: what the first attempt of a webhook may not reach, nothing else that sends
// reaches: an attempt by hand, a replay, an action behind a door, the try of an action.
func guardedEverywhere(w *world, url string) {
	refused := doc{"stateReason": "permanent_error", "lastAttempt.errorClass": "egress_denied"}
	delivery := w.viewer.get("/v1/webhooks/named/deliveries?state=failed&order=asc").want(http.StatusOK).list("id")[0]
	w.operator.post("/v1/deliveries/"+delivery+"/retry", nil).want(http.StatusAccepted)
	attempts := func(n int) {
		w.t.Helper()
		eventually(w.t, "another attempt", func() bool {
			d := w.viewer.get("/v1/deliveries/" + delivery).want(http.StatusOK)
			return d.number("attemptCount") == n && d.text("state") == "failed"
		})
		for field, want := range refused {
			w.viewer.get("/v1/deliveries/"+delivery).want(http.StatusOK).has(field, want.(string))
		}
	}
	attempts(2)
	w.operator.post("/v1/replays", doc{"webhook": "named", "include": "failed", "since": "2026-01-01T00:00:00Z"}).want(http.StatusAccepted)
	attempts(3)

	w.action("call", "httpRequest", doc{"url": url})
	w.admin.post("/v1/actions/call/test", doc{}).want(http.StatusOK).has("outcome", "failed", "errorClass", "egress_denied")
	// Once: what a resolver does not know is tried again, until the breaker waits half a minute.
	w.action("named-late", "httpRequest", doc{"url": "http://{{ item.host }}/"}, doc{"maxAttempts": 1})
	w.door("d", doc{"routes": to("call", "named-late")})
	for _, host := range []string{"localhost", "169.254.169.254", "0x7f000001", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"} {
		n := w.ran(w.nobody.post(w.in("d"), doc{"host": host}).want(http.StatusAccepted), doc{"failed": 2})
		for _, id := range []string{n.text("deliveries.0.id"), n.text("deliveries.1.id")} {
			if d := w.viewer.get("/v1/deliveries/" + id).want(http.StatusOK); host != "0x7f000001" || d.text("target.code") == "call" { // which a resolver may not know
				d.has("stateReason", "permanent_error", "lastAttempt.errorClass", "egress_denied")
			}
		}
	}
}

// testFullDisk: publishing stops before the disk of SQLite is full, reading does not.
func testFullDisk(t *testing.T, s *server) {
	s.launch("SALLYPORT_MIN_FREE_DISK=1048576GiB")
	s.awaitReady()
	c := &caller{t: t, s: s, key: s.adminKey}
	if s.engine != "sqlite" { // whose disk is not ours to look at
		c.post("/v1/events", doc{"type": "a.b"}).want(http.StatusAccepted)
		return
	}
	for path, body := range map[string]doc{"/v1/events": {"type": "a.b"}, "/v1/events/batch": {"data": []doc{{"type": "a.b"}}}} {
		if a := c.post(path, body).problem(http.StatusServiceUnavailable, "storage_full"); a.header.Get("Retry-After") == "" {
			t.Error("it does not say when to come back")
		}
	}
	c.get("/v1/events").want(http.StatusOK)
}

// file is the address of SQLite's database for a second process.
func (s *server) file() string {
	return "file:" + filepath.Join(s.dir, "data", "sallyport.db") + "?_pragma=busy_timeout(10000)"
}

// exec changes the database behind the server's back.
func (s *server) exec(t *testing.T, statement string) {
	t.Helper()
	var err error
	if s.database != "" {
		var db *pgx.Conn
		if db, err = pgx.Connect(t.Context(), s.database); err == nil {
			_, err = db.Exec(t.Context(), statement)
			_ = db.Close(context.Background())
		}
	} else {
		var db *sql.DB
		if db, err = sql.Open("sqlite", s.file()); err == nil {
			_, err = db.ExecContext(t.Context(), statement)
			_ = db.Close()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// testBroken: what nobody foresaw is told to the log, and to the caller only that it happened.
func testBroken(t *testing.T, s *server) {
	s.launch()
	s.awaitReady()
	c := &caller{t: t, s: s, key: s.adminKey}
	s.exec(t, "ALTER TABLE attempts RENAME TO mislaid")
	a := c.get("/v1/deliveries/019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e")
	if a.status == http.StatusNotFound { // it looks for the delivery first
		s.exec(t, "ALTER TABLE deliveries RENAME TO mislaid_too")
		a = c.get("/v1/deliveries/019a9f3e-77c2-7d6e-8f7b-3a8e5b6c1d2e")
	}
	a.problem(http.StatusInternalServerError, "internal").has("detail", "")
	if strings.Contains(string(a.body), "attempts") || strings.Contains(string(a.body), "deliveries") {
		t.Errorf("the caller is told of our insides: %s", a.body)
	}
	eventually(t, "the log to know the call", func() bool { return strings.Contains(s.said(), a.header.Get("X-Request-Id")) })
}

// testAway: while the database does not answer nothing is promised, and afterwards all is well.
func testAway(t *testing.T, s *server) {
	s.launch()
	s.awaitReady()
	c := &caller{t: t, s: s, key: s.adminKey}
	c.post("/v1/events", doc{"id": "before", "type": "a.b"}).want(http.StatusAccepted)
	var back func()
	if s.database != "" {
		config, err := pgx.ParseConfig(s.database)
		if err != nil {
			t.Fatal(err)
		}
		name := config.Database
		config.Database = "postgres"
		admin, err := pgx.ConnectConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close(context.Background()) // the test is over
		run := func(statement string, args ...any) {
			if _, err := admin.Exec(t.Context(), statement, args...); err != nil {
				t.Fatal(err)
			}
		}
		run("ALTER DATABASE " + name + " WITH ALLOW_CONNECTIONS false")
		run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
		back = func() { run("ALTER DATABASE " + name + " WITH ALLOW_CONNECTIONS true") }
	} else {
		db, err := sql.Open("sqlite", s.file())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close() // nothing was written
		tx, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
			t.Fatal(err)
		}
		back = func() {
			if _, err := tx.ExecContext(t.Context(), "ROLLBACK"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a := c.put("/v1/event-types/a.c", doc{}).problem(http.StatusServiceUnavailable, "unavailable"); a.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
	back()
	eventually(t, "publishing to work again", func() bool {
		a := c.post("/v1/events", doc{"id": "after", "type": "a.b"})
		if a.status != http.StatusAccepted {
			a.want(http.StatusServiceUnavailable)
		}
		return a.status == http.StatusAccepted
	})
	for _, id := range []string{"before", "after"} {
		eventually(t, "reading to work again", func() bool { // every cut connection is found out once
			a := c.get("/v1/events/" + id)
			if a.status != http.StatusOK {
				a.problem(http.StatusServiceUnavailable, "unavailable")
			}
			return a.status == http.StatusOK
		})
	}
}

// again runs the program anew on the data of a server that has stopped.
func (s *server) again(settings ...string) *server {
	s.t.Helper()
	next := &server{engine: s.engine, dir: s.dir, database: s.database, adminKey: s.adminKey, validator: s.validator, planted: s.planted, client: s.client, t: s.t, done: make(chan struct{})}
	next.launch(settings...)
	next.awaitReady()
	return next
}

// testRestart: a graceful stop loses nothing, not even what is written down once a minute.
func testRestart(t *testing.T, s *server) {
	s.launch("SALLYPORT_EGRESS_ALLOW=127.0.0.0/8")
	s.awaitReady()
	w := newWorld(t, s)
	r := w.receiver()
	secret := w.planted.given("survives-a-restart-" + random(16))
	w.webhook(r, doc{"code": "kept", "secret": secret})
	w.operator.post("/v1/webhooks/kept/pause", nil).want(http.StatusOK)
	id := w.deliveryOf(w.publish(doc{"type": "a.b"}))
	s.stop()
	again := s.again("SALLYPORT_EGRESS_ALLOW=127.0.0.0/8")
	for _, c := range []*caller{w.admin, w.operator, w.viewer, w.publisher} {
		c.s = again
	}
	w.viewer.get("/v1/deliveries/"+id).want(http.StatusOK).has("state", "held", "stateReason", "paused")
	if used := w.admin.get("/v1/api-keys/" + w.publisher.id).want(http.StatusOK).text("lastUsedAt"); used == "" {
		t.Error("when a key was last used was lost")
	}
	w.operator.post("/v1/webhooks/kept/resume", nil).want(http.StatusOK).has("released", "1")
	w.await(id, "succeeded")
	w.signed(r.Wait(1)[0], secret)
	again.stop()
}
