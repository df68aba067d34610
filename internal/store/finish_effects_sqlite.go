package store

import (
	"context"

	"sallyport/internal/hook"
)

func (s *Store) finishEffectsSQLite(ctx context.Context, node hook.NodeID, batch []*hook.Finish) ([]hook.Effect, error) {
	fates := make([]hook.Effect, len(batch))
	err := s.sqliteTx(ctx, func(tx *sqliteTx) error {
		now := micros(s.ids.Now())
		for i, f := range batch {
			fate, err := tx.finishEffect(node, f, now)
			if err != nil {
				return err
			}
			fates[i] = fate
		}
		return nil
	})
	return fates, err
}

func (t *sqliteTx) finishEffect(node hook.NodeID, f *hook.Finish, now int64) (hook.Effect, error) {
	if before, err := t.finishedBefore(f); err != nil || before {
		return hook.EffectDone, err
	}
	if stale, err := t.stale(f.Effects.Versions); err != nil || stale {
		return hook.EffectStale, err
	}
	if _, err := t.ExecContext(t.ctx, "SAVEPOINT effect"); err != nil {
		return hook.EffectLost, err
	}
	fate := hook.EffectLost
	held, err := t.finishOne(node, f, now)
	if err == nil && held {
		fate = hook.EffectDone
		var fresh bool
		if fresh, err = t.apply(f.Effects, now); err == nil && !fresh {
			if _, err = t.ExecContext(t.ctx, "ROLLBACK TO effect"); err == nil {
				_, err = t.ExecContext(t.ctx, "RELEASE effect")
			}
			return hook.EffectStale, err
		}
	}
	if err == nil {
		err = t.insertAttempts([]*hook.Finish{f}, []bool{held})
	}
	if err == nil {
		_, err = t.ExecContext(t.ctx, "RELEASE effect")
	}
	return fate, err
}

// stale reports that a scope has another version now.
func (t *sqliteTx) stale(versions map[hook.ID]int64) (bool, error) {
	for scope, v := range versions {
		now, err := t.version(scope)
		if err != nil || now != v {
			return true, err
		}
	}
	return false, nil
}

// apply does what effects say; it reports false if a record has changed, and then the
// caller takes back what was done.
func (t *sqliteTx) apply(e *hook.Effects, now int64) (bool, error) {
	for i := range e.Records {
		if fresh, err := t.applyRecord(&e.Records[i], now); err != nil || !fresh {
			return false, err
		}
	}
	planned, err := t.withMarks(e, now)
	if err != nil {
		return false, err
	}
	rows := eventRows{now: now}
	for _, p := range planned {
		rows.event(&p.Event, nil)
		rows.logged = append(rows.logged, &p.Event)
		for i := range p.Deliveries {
			rows.delivery(&p.Event, &p.Deliveries[i], 0)
		}
	}
	return true, t.insertEvents(&rows)
}
