package store

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// shownOfRequest is how many events and how many deliveries of a request are shown with it.
const shownOfRequest = 100

// Requests lists inbound requests of a workspace in the order they came, newest first
// unless asked otherwise, and reports whether more follow. Headers and bodies are left
// out, and so is what they led to, but for how far large ones are.
func (s *Store) Requests(ctx context.Context, f hook.RequestFilter, p hook.Page) ([]hook.RequestView, bool, error) {
	var out []hook.RequestView
	err := s.search(ctx, func(tx *gorm.DB) error {
		query := requestSearch(s, f, p)
		rows, err := list(tx, func(rows *sql.Rows, r *requestRow) error { return r.scan(rows) }, query.sql, query.args...)
		if err != nil {
			return err
		}
		for i := range rows {
			r := &rows[i].Request
			r.Headers = nil
			out = append(out, hook.RequestView{Request: *r})
		}
		if err := s.showExpansions(tx, out); err != nil {
			return err
		}
		return s.showDoors(tx, out)
	})
	if err != nil {
		return nil, false, err
	}
	more := len(out) > p.Limit
	return out[:min(len(out), p.Limit)], more, nil
}

// Request returns a request with its headers and body and with what it led to: the ids of
// its first 100 events, their first 100 deliveries, and how many are in which state.
// Credentials that were taken out of it are left out.
func (s *Store) Request(ctx context.Context, workspace, id hook.ID) (hook.RequestView, error) {
	var view hook.RequestView
	err := s.search(ctx, func(tx *gorm.DB) error {
		row, err := s.wholeRequest(tx, workspace, id)
		if err != nil {
			return err
		}
		views := []hook.RequestView{{Request: row.Request}}
		if err := s.showDoors(tx, views); err != nil {
			return err
		}
		view = views[0]
		if view.Verdict != hook.VerdictAccepted {
			return nil
		}
		return s.showConsequences(tx, &view)
	})
	return view, err
}

// RequestForRun returns a request whole, credentials included, for what evaluates it:
// actions, verdicts, replays.
func (s *Store) RequestForRun(ctx context.Context, workspace, id hook.ID) (*hook.Request, error) {
	row, err := s.wholeRequest(s.r.WithContext(ctx), workspace, id)
	if err != nil {
		return nil, translate(err)
	}
	if err := s.openHidden(&row.Request, row.sealed); err != nil {
		return nil, err
	}
	return &row.Request, nil
}

// AnswerRequest records what a request was answered after its actions had run. A request
// that is gone is no error: it was answered all the same.
func (s *Store) AnswerRequest(ctx context.Context, workspace, id hook.ID, status int, took time.Duration) error {
	return translate(s.w.WithContext(ctx).Exec("UPDATE requests SET status = ?, duration = ? WHERE workspace_id = ? AND id = ?",
		status, took.Microseconds(), rowID(workspace), rowID(id)).Error)
}

const requestColumnNames = `r.workspace_id, r.id, r.incoming_id, r.code, r.verdict, r.reason, r.status, r.duration, r.events,
	r.deliveries, r.duplicate_of, r.replay_of, r.detail`

// requestRow is a row of requests; the credentials are there only for whole ones.
type requestRow struct {
	hook.Request
	sealed []byte
}

func (r *requestRow) scan(rows *sql.Rows, more ...any) error {
	var verdict int16
	var reason sql.NullString
	var duration int64
	var detail []byte
	err := rows.Scan(append([]any{
		(*rowID)(&r.Workspace), (*rowID)(&r.ID), (*rowID)(&r.Incoming), &r.Code, &verdict, &reason, &r.Status, &duration, &r.Events,
		&r.Deliveries, (*rowID)(&r.DuplicateOf), (*rowID)(&r.ReplayOf), &detail,
	}, more...)...)
	if err != nil {
		return err
	}
	r.Verdict, r.Reason, r.Duration = verdictCodes.from(verdict), reason.String, time.Duration(duration)*time.Microsecond
	return readDetail(&r.Request, detail)
}

// wholeRequest reads a request with its body, from its first event if that has it.
func (s *Store) wholeRequest(tx *gorm.DB, workspace, id hook.ID) (*requestRow, error) {
	rows, err := list(tx, func(rows *sql.Rows, r *requestRow) error { return r.scan(rows, &r.Body.Bytes, &r.sealed) },
		"SELECT "+requestColumnNames+`, CASE WHEN r.body_in_event THEN
			(SELECT e.entity FROM events e WHERE e.workspace_id = r.workspace_id AND e.key = ?) ELSE r.body END, r.sealed
		FROM requests r WHERE r.workspace_id = ? AND r.id = ?`, rowID(hook.RequestEventKey(id, 0)), rowID(workspace), rowID(id))
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, hook.NotFound("request", id.String())
	}
	return &rows[0], nil
}

// showExpansions fills in how far the large ones among requests are.
func (s *Store) showExpansions(tx *gorm.DB, views []hook.RequestView) error {
	at := map[hook.ID]*hook.RequestView{}
	var ids []hook.ID
	for i := range views {
		if v := &views[i]; v.Verdict == hook.VerdictAccepted {
			at[v.ID], ids = v, append(ids, v.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	in := s.among("x.request_id", ids)
	rows, err := list(tx, scanExpansion, "SELECT "+expansionColumns+" FROM expansions x WHERE "+in.sql, in.args...)
	for i := range rows {
		at[rows[i].Request].Expansion = &rows[i]
	}
	return err
}

// showDoors fills in how the doors of requests are called now, deleted ones included.
func (s *Store) showDoors(tx *gorm.DB, views []hook.RequestView) error {
	var ids []hook.ID
	for i := range views {
		if views[i].Incoming != hook.NoID {
			ids = append(ids, views[i].Incoming)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	type door struct {
		id         hook.ID
		code, name string
	}
	in := s.among("w.id", distinct(ids))
	rows, err := list(tx, func(rows *sql.Rows, d *door) error { return rows.Scan((*rowID)(&d.id), &d.code, &d.name) },
		"SELECT w.id, w.code, w.name FROM incoming_webhooks w WHERE "+in.sql, in.args...)
	if err != nil {
		return err
	}
	doors := make(map[hook.ID]door, len(rows))
	for _, d := range rows {
		doors[d.id] = d
	}
	for i := range views {
		d := doors[views[i].Incoming]
		views[i].IncomingCode, views[i].IncomingName = d.code, d.name
	}
	return nil
}

// showConsequences fills in what an accepted request led to.
func (s *Store) showConsequences(tx *gorm.DB, v *hook.RequestView) error {
	events := requestEvents(v.ID)
	var err error
	if v.EventIDs, err = list(tx, scanID, "SELECT e.key FROM events e WHERE e.workspace_id = ? AND e.key >= ? AND e.key < ? ORDER BY e.key LIMIT ?",
		rowID(v.Workspace), rowID(events.from), rowID(events.to), shownOfRequest); err != nil {
		return err
	}
	ids, err := list(tx, scanID, "SELECT d.id FROM deliveries d WHERE d.event_key >= ? AND d.event_key < ? ORDER BY d.event_key LIMIT ?",
		rowID(events.from), rowID(events.to), shownOfRequest)
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		if v.DeliveryViews, err = s.deliveryViews(tx, ids, hook.Page{Asc: true}, v.Workspace); err != nil {
			return err
		}
		if v.States, err = s.deliveryCounts(tx, events.within("d.event_key")); err != nil {
			return err
		}
	}
	v.Expansion, err = findExpansion(tx, v.ID)
	return err
}

// requestEvents are the keys of the events made of a request.
func requestEvents(request hook.ID) span {
	return span{from: hook.RequestEventKey(request, 0), to: nextID(hook.RequestEventKey(request, hook.MaxRequestItems-1))}
}

// within is the condition that column is in the range.
func (r span) within(column string) clauseOf {
	return clauseOf{column + " >= ? AND " + column + " < ?", []any{rowID(r.from), rowID(r.to)}}
}
