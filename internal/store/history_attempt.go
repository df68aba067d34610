package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strconv"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// Attempt returns one attempt of a delivery, whole, by its number or its id. Of two
// with one number it is the one that counted.
func (s *Store) Attempt(ctx context.Context, workspace, delivery hook.ID, ref string) (hook.Attempt, error) {
	where, arg := "a.n = ?", any(-1)
	if id, err := hook.ParseID(ref); err == nil && hook.IsID(ref) {
		where, arg = "a.id = ?", rowID(id)
	} else if number, err := strconv.ParseInt(ref, 10, 32); err == nil {
		arg = number
	}
	var attempts []hook.Attempt
	err := s.search(ctx, func(tx *gorm.DB) error {
		rows, err := s.deliveryRows(tx, []hook.ID{delivery}, workspace)
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return hook.NotFound("delivery", delivery.String())
		}
		attempts, err = s.wholeAttempts(tx, &rows[0].Delivery, where, arg)
		return err
	})
	if err != nil {
		return hook.Attempt{}, err
	}
	if len(attempts) == 0 {
		return hook.Attempt{}, hook.NotFound("attempt", ref)
	}
	return slices.MaxFunc(attempts, func(a, b hook.Attempt) int { return compareAttempts(&a, &b) }), nil
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

// maxWhole bounds the attempts that are read with their evidence, some 300 KB each: tries by
// hand and replays can make any number of them.
const maxWhole = 100

// wholeAttempts returns the latest attempts of a delivery that match where, with their
// evidence, oldest first. The event's own bytes, which the attempts do not repeat, are put back.
func (s *Store) wholeAttempts(tx *gorm.DB, d *hook.Delivery, where string, args ...any) ([]hook.Attempt, error) {
	rows, err := list(tx, func(rows *sql.Rows, r *attemptRow) error {
		return r.scan(rows, &r.detail, &r.head, &r.tail, &r.body)
	}, "SELECT "+attemptColumns+", a.detail, a.req_head, a.req_tail, a.resp_body FROM attempts a WHERE a.delivery_id = ? AND "+where+
		" ORDER BY a.started_at DESC, a.id DESC LIMIT "+strconv.Itoa(maxWhole), append([]any{rowID(d.ID)}, args...)...)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	slices.Reverse(rows)
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
