package storetest

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
)

// World is a store with a connection of the test's own beside it, to lay rows as the
// pipeline would leave them.
type World struct {
	*store.Store
	DB *sql.DB

	t    *testing.T
	ctr  uint64
	now  time.Time
	ws   hook.ID
	node int64
}

// WorldOpener opens a fresh store and a plain connection to its database.
type WorldOpener func(t *testing.T) (*store.Store, *sql.DB)

// newWorld has a workspace and a living node.
func newWorld(t *testing.T, open WorldOpener) *World {
	t.Helper()
	s, db := open(t)
	w := &World{Store: s, DB: db, t: t, now: time.Now().UTC().Truncate(time.Millisecond)}
	w.ws = w.workspace("main", 0)
	node, _, err := s.Register(t.Context(), "instance", "n1", w.idAt(w.now.Add(-time.Minute)))
	if err != nil {
		t.Fatal(err)
	}
	w.node = int64(node)
	return w
}

// idAt makes an id of that millisecond; later calls make larger ones of it.
func (w *World) idAt(at time.Time) hook.ID {
	id := hook.FirstID(at)
	w.ctr++
	binary.BigEndian.PutUint64(id[8:], binary.BigEndian.Uint64(id[8:])+w.ctr)
	return id
}

func (w *World) id(id hook.ID) any {
	switch {
	case id == hook.NoID:
		return nil
	case w.Engine() == store.Postgres:
		return id.String()
	}
	return id[:]
}

// at is a time as due keeps it.
func (w *World) at(t time.Time) any {
	if w.Engine() == store.Postgres {
		return t
	}
	return t.UnixMicro()
}

// exec runs a statement with ? for its arguments.
func (w *World) exec(query string, args ...any) {
	w.t.Helper()
	if _, err := w.DB.ExecContext(w.t.Context(), w.bind(query), args...); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

func (w *World) bind(query string) string {
	if w.Engine() != store.Postgres {
		return query
	}
	var b strings.Builder
	n := 0
	for _, c := range query {
		if c != '?' {
			b.WriteRune(c)
			continue
		}
		n++
		b.WriteString("$" + strconv.Itoa(n))
	}
	return b.String()
}

func (w *World) insert(table string, row map[string]any) {
	w.t.Helper()
	columns := slices.Sorted(maps.Keys(row))
	args := make([]any, len(columns))
	for i, c := range columns {
		args[i] = row[c]
	}
	w.exec("INSERT INTO "+table+" ("+strings.Join(columns, ", ")+") VALUES (?"+strings.Repeat(",?", len(columns)-1)+")", args...)
}

// count reads one number.
func (w *World) count(query string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.DB.QueryRowContext(w.t.Context(), w.bind(query), args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (w *World) workspace(code string, retention time.Duration) hook.ID {
	w.t.Helper()
	id := w.idAt(w.now.Add(-100 * 24 * time.Hour))
	w.insert("workspaces", map[string]any{"id": w.id(id), "code": code, "code_key": code, "name": code, "strict": false,
		"retention": int64(retention), "events_per_second": 0, "pending_deliveries": 0, "metadata": "{}", "version": 1,
		"created_at": 1, "updated_at": 1})
	return id
}

// webhook makes a webhook in a state: active, paused, suspended, disabled or deleted.
func (w *World) webhook(state string, change ...func(row map[string]any)) hook.ID {
	w.t.Helper()
	id := w.idAt(w.now.Add(-50 * 24 * time.Hour))
	code := fmt.Sprintf("%s-%d", state, w.ctr)
	row := map[string]any{"id": w.id(id), "workspace_id": w.id(w.ws), "number": w.ctr, "code": code, "code_key": code, "name": "Name of " + code,
		"enabled": state != "disabled", "paused": state == "paused", "suspended": "", "state_since": w.now.Add(-time.Hour).UnixMicro(),
		"config": `{"eventTypes":["*"],"maxAttempts":10}`, "metadata": "{}", "version": 1,
		"created_at": w.now.Add(-50 * 24 * time.Hour).UnixMicro(), "updated_at": 1, "deleted_at": nil}
	if state == "suspended" {
		row["suspended"] = hook.SuspendedGone
	}
	if state == "deleted" {
		row["deleted_at"] = w.now.Add(-time.Hour).UnixMicro()
	}
	for _, c := range change {
		c(row)
	}
	w.insert("webhooks", row)
	return id
}

// event lays an event accepted at a time; "" for id: none of the client's.
func (w *World) event(at time.Time, id string, change ...func(row map[string]any)) hook.ID {
	w.t.Helper()
	key := w.idAt(at)
	row := map[string]any{"workspace_id": w.id(w.ws), "key": w.id(key), "id": nil, "type": "order.paid", "occurred_at": at.UnixMicro(),
		"source_kind": 0, "hops": 0, "matched": 1, "entity_id_number": false}
	if id != "" {
		row["id"] = id
	}
	for _, c := range change {
		c(row)
	}
	w.insert("events", row)
	if row["id"] != nil {
		w.insert("event_keys", map[string]any{"workspace_id": row["workspace_id"], "id": row["id"], "event_key": w.id(key), "content_hash": make([]byte, 32)})
	}
	return key
}

// Kinds of rows a delivery can have.
const (
	rowBorn = iota // running, without a row in due
	rowWaits
	rowSucceeded
	rowFailed
	rowSkipped
	rowClaimed // waits in deliveries, and is held by the node in due
)

// delivery lays a delivery of an event in the state of its row.
func (w *World) delivery(at time.Time, event, target hook.ID, row int, change ...func(row map[string]any)) hook.ID {
	w.t.Helper()
	id := w.idAt(at)
	r := map[string]any{"id": w.id(id), "workspace_id": w.id(w.ws), "event_key": w.id(event), "target_kind": 0, "target_id": w.id(target),
		"state": row, "reason": 0, "attempts": 0, "base": 0, "test": false, "node": nil, "finished_at": nil}
	switch row {
	case rowBorn:
		r["node"] = w.node
	case rowClaimed:
		r["state"] = rowWaits
	case rowFailed:
		r["reason"] = 1 // attempts_exhausted
	}
	if row >= rowSucceeded && row <= rowSkipped {
		r["finished_at"] = at.Add(time.Second).UnixMicro()
	}
	for _, c := range change {
		c(r)
	}
	w.insert("deliveries", r)
	switch row {
	case rowWaits, rowClaimed:
		due := map[string]any{"target_id": w.id(target), "due_at": w.at(at), "delivery_id": w.id(id), "workspace_id": r["workspace_id"], "held_by": nil}
		if row == rowClaimed {
			due["held_by"] = w.node
		}
		w.insert("due", due)
	case rowFailed:
		w.insert("dead", map[string]any{"target_id": w.id(target), "delivery_id": w.id(id)})
	}
	return id
}

// attempt lays an attempt with little evidence.
func (w *World) attempt(at time.Time, delivery hook.ID, number, outcome int) hook.ID {
	w.t.Helper()
	id := w.idAt(at)
	w.insert("attempts", map[string]any{"delivery_id": w.id(delivery), "id": w.id(id), "n": number, "outcome": outcome,
		"error_class": outcome, "status": 200 + outcome, "started_at": at.UnixMicro(), "duration": 1500,
		"detail": []byte(`{"t":0,"n":"n1","v":3,"T":[0,0,0,900,1500]}`)})
	return id
}

func set(column string, value any) func(map[string]any) {
	return func(row map[string]any) { row[column] = value }
}

func equalIDs(t *testing.T, what string, got, want []hook.ID) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s = %d ids %v\nwant %d ids %v", what, len(got), got, len(want), want)
	}
}
