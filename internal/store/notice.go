package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// Operational events: who is mailed about them, and how they are stored with a change of
// configuration and not more often than their marks allow.

type alertsJSON struct {
	Emails     []string `json:"emails"`
	EventTypes []string `json:"eventTypes"`
}

func alertsText(a *hook.Alerts) string {
	if a == nil {
		return ""
	}
	b, err := json.Marshal(alertsJSON(*a))
	if err != nil {
		panic(err) // strings always encode
	}
	return string(b)
}

func alertsOf(text string) (*hook.Alerts, error) {
	if text == "" {
		return nil, nil
	}
	var a alertsJSON
	err := json.Unmarshal([]byte(text), &a)
	return (*hook.Alerts)(&a), err
}

// alertsFor is who is mailed about a workspace.
func (s *Store) alertsFor(w *hook.Workspace) hook.Alerts {
	if w.Alerts != nil {
		return *w.Alerts
	}
	return s.alerts
}

// tell stores operational events with a change of a workspace's configuration, matched
// against what the change has made of it. Nobody changes it meanwhile: its version is locked.
func (s *Store) tell(tx *gorm.DB, w *hook.Workspace, notices []hook.Notice) error {
	if len(notices) == 0 {
		return nil
	}
	webhooks, err := allWithSecrets[*webhookRow](s, tx, w.ID, nil)
	if err != nil {
		return err
	}
	v := hook.NewView(hook.Snapshot{Workspace: *w, Webhooks: webhooks, Alerts: s.alertsFor(w)})
	for _, n := range notices {
		p, _, err := v.Plan(n, s.ids, s.holds)
		if err != nil {
			return err
		}
		if p != nil {
			if err := s.insertNotice(tx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// insertNotice stores an event whose deliveries wait, in somebody else's transaction.
func (s *Store) insertNotice(tx *gorm.DB, p *hook.PlannedEvent) error {
	e := &p.Event
	err := tx.Exec(`INSERT INTO events (workspace_id, key, type, entity_id, entity, occurred_at, source_kind, matched) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		rowID(e.Workspace), rowID(e.Key), e.Type, e.EntityID.Text, e.Entity, micros(e.Timestamp), sourceCodes.of(e.Source.Kind), e.Matched).Error
	if err == nil && s.engine == SQLite { // Postgres has a trigger for it
		err = tx.Exec(insertLog+"(?, ?, ?)", rowID(e.Workspace), micros(s.ids.Now()), e.Key[:]).Error
	}
	if err != nil {
		return err
	}
	for i := range p.Deliveries {
		d := &p.Deliveries[i]
		var finished *int64
		if d.Skipped != hook.ReasonNone {
			finished = microsPtr(&e.Timestamp)
		}
		err := tx.Exec("INSERT INTO deliveries (id, workspace_id, event_key, target_kind, target_id, state, reason, finished_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			rowID(d.ID), rowID(e.Workspace), rowID(e.Key), targetKindCodes.of(d.TargetKind), rowID(d.Target), stateCodes.of(bornState(d)),
			reasonCodes.of(d.Skipped), finished).Error
		if err == nil && d.Skipped == hook.ReasonNone {
			err = tx.Exec("INSERT INTO due (target_id, due_at, delivery_id, workspace_id, trigger_kind) VALUES (?, ?, ?, ?, ?)",
				rowID(d.Target), s.nodeNow(), rowID(d.ID), rowID(e.Workspace), triggerCodes.of(d.Trigger)).Error
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// markKey names a mark of a workspace.
type markKey struct {
	workspace hook.ID
	key       string
}

// marksOf lists the marks that events want, each once, in the one order in which they are
// taken. The longest time wins where two differ.
func marksOf(events []*hook.PlannedEvent) (keys []markKey, every map[markKey]time.Duration) {
	every = make(map[markKey]time.Duration)
	add := func(workspace hook.ID, m *hook.Mark) {
		if m != nil {
			k := markKey{workspace, m.Key}
			every[k] = max(every[k], m.Every)
		}
	}
	for _, e := range events {
		add(e.Event.Workspace, e.Once)
		for i := range e.Deliveries {
			add(e.Event.Workspace, e.Deliveries[i].Once)
		}
	}
	for k := range every {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b markKey) int {
		return cmp.Or(bytes.Compare(a.workspace[:], b.workspace[:]), cmp.Compare(a.key, b.key))
	})
	return keys, every
}

// allowed is what is left of events without what had no mark. Of several that want the
// same mark the first gets it. An event that has nobody to be told any more is left out. The events
// themselves stay as they are: the transaction may be run again.
func allowed(events []*hook.PlannedEvent, taken map[markKey]bool) []*hook.PlannedEvent {
	get := func(workspace hook.ID, m *hook.Mark) bool {
		if m == nil {
			return true
		}
		k := markKey{workspace, m.Key}
		ok := taken[k]
		taken[k] = false
		return ok
	}
	out := make([]*hook.PlannedEvent, 0, len(events))
	for _, e := range events {
		if !get(e.Event.Workspace, e.Once) {
			continue
		}
		marked := slices.ContainsFunc(e.Deliveries, func(d hook.PlannedDelivery) bool { return d.Once != nil })
		if !marked {
			out = append(out, e)
			continue
		}
		left := *e
		left.Deliveries = nil
		for _, d := range e.Deliveries {
			if get(e.Event.Workspace, d.Once) {
				left.Deliveries = append(left.Deliveries, d)
			}
		}
		if left.Event.Matched = len(left.Deliveries); left.Event.Matched > 0 {
			out = append(out, &left)
		}
	}
	return out
}

// withMarksPG takes marks in the open transaction and returns what may be stored.
func (s *Store) withMarksPG(ctx context.Context, tx pgx.Tx, effects []*hook.Effects) ([]*hook.PlannedEvent, error) {
	events := eventsOf(effects)
	keys, every := marksOf(events)
	if len(keys) == 0 {
		return events, nil
	}
	taken := make(map[markKey]bool, len(keys))
	for _, k := range keys {
		tag, err := tx.Exec(ctx, `INSERT INTO marks (workspace_id, key, taken_at) VALUES ($1, $2, $3) ON CONFLICT (workspace_id, key)
			DO UPDATE SET taken_at = excluded.taken_at WHERE marks.taken_at <= excluded.taken_at - $4::bigint`,
			k.workspace, k.key, micros(s.ids.Now()), every[k].Microseconds())
		if err != nil {
			return nil, err
		}
		taken[k] = tag.RowsAffected() > 0
	}
	return allowed(events, taken), nil
}

// withMarks is withMarksPG for SQLite.
func (t *sqliteTx) withMarks(e *hook.Effects, now int64) ([]*hook.PlannedEvent, error) {
	keys, every := marksOf(e.Events)
	if len(keys) == 0 {
		return e.Events, nil
	}
	taken := make(map[markKey]bool, len(keys))
	for _, k := range keys {
		n, err := t.exec(`INSERT INTO marks (workspace_id, key, taken_at) VALUES (?,?,?) ON CONFLICT (workspace_id, key)
			DO UPDATE SET taken_at = excluded.taken_at WHERE marks.taken_at <= excluded.taken_at - ?`,
			k.workspace[:], k.key, now, every[k].Microseconds())
		if err != nil {
			return nil, err
		}
		taken[k] = n > 0
	}
	return allowed(e.Events, taken), nil
}

func eventsOf(effects []*hook.Effects) []*hook.PlannedEvent {
	var out []*hook.PlannedEvent
	for _, e := range effects {
		out = append(out, e.Events...)
	}
	return out
}

// givenUpLimit bounds how far GivenUp counts.
const givenUpLimit = 10_000

// GivenUp counts the deliveries of a target that failed for good since a moment, up to
// 10,000.
func (s *Store) GivenUp(ctx context.Context, workspace, target hook.ID, since time.Time) (int, error) {
	var n []int
	err := s.search(ctx, func(tx *gorm.DB) (err error) {
		n, err = list(tx, func(rows *sql.Rows, n *int) error { return rows.Scan(n) },
			`SELECT count(*) FROM (SELECT 1 FROM dead x JOIN deliveries d ON d.id = x.delivery_id
			WHERE x.target_id = ? AND d.workspace_id = ? AND d.finished_at >= ? LIMIT ?) counted`,
			rowID(target), rowID(workspace), micros(since), givenUpLimit)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n[0], nil
}
