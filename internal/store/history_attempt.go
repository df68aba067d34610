package store

import (
	"cmp"
	"context"
	"database/sql"
	"strconv"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// Attempt returns one attempt of a delivery, whole, by its number or its id. Of two
// with one number it is the one that counted.
func (s *Store) Attempt(ctx context.Context, workspace, delivery hook.ID, ref string) (hook.Attempt, error) {
	_, attempts, err := s.Delivery(ctx, workspace, delivery)
	if err != nil {
		return hook.Attempt{}, err
	}
	number, err := strconv.Atoi(ref)
	if err != nil {
		number = -1
	}
	var found *hook.Attempt
	for i := range attempts {
		a := &attempts[i]
		if a.ID.String() == ref {
			return *a, nil
		}
		if a.Number == number && (found == nil || compareAttempts(found, a) < 0) {
			found = a
		}
	}
	if found == nil {
		return hook.Attempt{}, hook.NotFound("attempt", ref)
	}
	return *found, nil
}

// compareAttempts puts attempts of one delivery in order, the one to show last: by
// number, of one number those that counted after those that did not.
func compareAttempts(a, b *hook.Attempt) int {
	return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(counted(a), counted(b)), a.StartedAt.Compare(b.StartedAt),
		compareIDs(a.ID, b.ID))
}

func counted(a *hook.Attempt) int {
	if a.Outcome == hook.OutcomeSuperseded || a.Outcome == hook.OutcomeAborted {
		return 0
	}
	return 1
}

const attemptColumns = "a.delivery_id, a.id, a.n, a.outcome, a.error_class, a.status, a.started_at, a.duration"

// attemptRow is a row of attempts; the bytes are there only for whole attempts.
type attemptRow struct {
	hook.Attempt
	status                   int
	detail, head, tail, body []byte
}

func (r *attemptRow) scan(rows *sql.Rows, more ...any) error {
	var outcome, class int16
	var started, duration int64
	err := rows.Scan(append([]any{(*rowID)(&r.Delivery), (*rowID)(&r.ID), &r.Number, &outcome, &class, &r.status, &started, &duration}, more...)...)
	if err != nil {
		return err
	}
	r.Outcome, r.ErrorClass = outcomeCodes.from(outcome), classCodes.from(class)
	r.StartedAt, r.Timings.Total = fromMicros(started), time.Duration(duration)*time.Microsecond
	return nil
}

// attemptSummaries returns the attempts of deliveries in short: number, outcome, class,
// status, start and duration.
func (s *Store) attemptSummaries(tx *gorm.DB, deliveries []hook.ID) (map[hook.ID][]hook.Attempt, error) {
	in := s.among("a.delivery_id", deliveries)
	rows, err := list(tx, func(rows *sql.Rows, r *attemptRow) error { return r.scan(rows) },
		"SELECT "+attemptColumns+" FROM attempts a WHERE "+in.sql, in.args...)
	if err != nil {
		return nil, err
	}
	out := make(map[hook.ID][]hook.Attempt, len(deliveries))
	for i := range rows {
		r := &rows[i]
		if r.status != 0 {
			r.Response = &hook.ReceivedResponse{Status: r.status}
		}
		out[r.Delivery] = append(out[r.Delivery], r.Attempt)
	}
	return out, nil
}

// showAttempts fills in when a delivery was first tried and its latest attempt.
func showAttempts(v *hook.DeliveryView, attempts []hook.Attempt) {
	for i := range attempts {
		a := &attempts[i]
		if v.FirstAttemptAt == nil || a.StartedAt.Before(*v.FirstAttemptAt) {
			v.FirstAttemptAt = &a.StartedAt
		}
		if v.LastAttempt == nil || compareAttempts(v.LastAttempt, a) < 0 {
			v.LastAttempt = a
		}
	}
}

// wholeAttempts returns all attempts of a delivery with their evidence, oldest first.
// The event's own bytes, which the attempts do not repeat, are put back.
func (s *Store) wholeAttempts(tx *gorm.DB, d *hook.Delivery) ([]hook.Attempt, error) {
	rows, err := list(tx, func(rows *sql.Rows, r *attemptRow) error {
		return r.scan(rows, &r.detail, &r.head, &r.tail, &r.body)
	}, "SELECT "+attemptColumns+", a.detail, a.req_head, a.req_tail, a.resp_body FROM attempts a WHERE a.delivery_id = ? ORDER BY a.started_at, a.id",
		rowID(d.ID))
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	events, err := s.eventsByKey(tx, d.Workspace, []hook.ID{d.EventKey}, "e.entity")
	if err != nil {
		return nil, err
	}
	out := make([]hook.Attempt, len(rows))
	for i, r := range rows {
		a, err := attemptFrom(r.Attempt, r.detail, r.head, r.tail, r.body, events[d.EventKey].Entity)
		if err != nil {
			return nil, err
		}
		if a.Response == nil && r.status != 0 {
			a.Response = &hook.ReceivedResponse{}
		}
		if a.Response != nil {
			a.Response.Status = r.status
		}
		out[i] = a
	}
	return out, nil
}
