package faulttest

import (
	"database/sql"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"
)

// db opens the store beside the program. On SQLite it only reads.
func (n *node) db() *sql.DB {
	n.in.t.Helper()
	driver, source := "pgx", n.in.database
	if source == "" {
		driver, source = "sqlite", "file:"+filepath.Join(n.dir, "sallyport.db")+"?_pragma=query_only(1)&_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		n.in.t.Fatal(err)
	}
	db.SetMaxOpenConns(2)
	n.in.t.Cleanup(func() { _ = db.Close() })
	return db
}

// one asks the store for a number.
func (in *installation) one(db *sql.DB, query string, args ...any) (n int) {
	in.t.Helper()
	if err := db.QueryRow(query, args...).Scan(&n); err != nil {
		in.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// settled returns once no delivery runs or waits any more: each has ended.
func (in *installation) settled(db *sql.DB) {
	in.t.Helper()
	for w := (waiting{}); ; time.Sleep(20 * time.Millisecond) {
		due, open := in.one(db, "SELECT count(*) FROM due"), in.one(db, "SELECT count(*) FROM deliveries WHERE state < 2")
		if due == 0 && open == 0 {
			return
		}
		if w.over(in.one(db, "SELECT count(*) FROM deliveries WHERE state >= 2")) {
			in.t.Fatalf("%d deliveries have not ended, %d of them wait, and none ended within %s", open, due, patience)
		}
	}
}

// buried returns once the others have declared a node dead. How many nodes there are does not
// tell: on a busy machine another one may have been taken for dead, and be about to join again.
func (in *installation) buried(db *sql.DB, dead *node) {
	in.t.Helper()
	in.eventually(dead.name+" is buried", func() bool {
		return in.one(db, "SELECT count(*) FROM nodes WHERE name = $1", dead.name) == 0
	})
}

// unheld fails the test if a delivery belongs to a node that is not there.
func (in *installation) unheld(db *sql.DB) {
	in.t.Helper()
	if n := in.one(db, "SELECT count(*) FROM deliveries WHERE state = 0 AND node NOT IN (SELECT id FROM nodes)"); n > 0 {
		in.t.Errorf("%d deliveries born on nodes that are gone stay theirs", n)
	}
	if n := in.one(db, "SELECT count(*) FROM due WHERE held_by NOT IN (SELECT id FROM nodes)"); n > 0 {
		in.t.Errorf("%d waiting deliveries stay claimed by nodes that are gone", n)
	}
}

// whole fails the test if an acknowledged event is missing in the store, or an event
// that matched one webhook has not exactly one delivery.
func (in *installation) whole(db *sql.DB) {
	in.t.Helper()
	if n := in.one(db, `SELECT count(*) FROM (SELECT e.key FROM events e LEFT JOIN deliveries d ON d.event_key = e.key
		GROUP BY e.key, e.matched HAVING count(d.id) <> e.matched) x`); n > 0 {
		in.t.Errorf("%d events have another number of deliveries than they matched", n)
	}
	if n := in.one(db, `SELECT count(*) FROM (SELECT workspace_id, id FROM events WHERE id IS NOT NULL GROUP BY workspace_id, id HAVING count(*) > 1) x`); n > 0 {
		in.t.Errorf("%d client ids stand for several events", n)
	}
	if n := in.one(db, `SELECT count(*) FROM (SELECT delivery_id, n FROM attempts WHERE outcome < 2 GROUP BY delivery_id, n HAVING count(*) > 1) x`); n > 0 {
		in.t.Errorf("%d attempts are recorded twice under one number", n)
	}
}
