package store

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

const (
	// keptPerTarget deliveries, the newest, survive whatever their age, so that a quiet
	// webhook still shows what it did last.
	keptPerTarget = 100
	// purgeRows is about how many rows one transaction removes: some milliseconds, for
	// which the other writers wait on SQLite.
	purgeRows = 1000
	// purgeRest is how many times as long as a step took the next one waits, so that
	// retention takes at most a fifth of the database.
	purgeRest = 4
)

// RunRetention purges every so often until ctx ends; the first time at once. retention
// is the installation's, for workspaces without one of their own; 0 keeps for ever. Any
// number of nodes may run it: they share the work.
func (s *Store) RunRetention(ctx context.Context, every, retention time.Duration) error {
	return s.purging(ctx, every, func() (hook.Purged, error) { return s.Purge(ctx, retention) })
}

// RunBounds removes what inbound requests that were not accepted exceed their bounds by,
// every so often until ctx ends; Purge does that, too, but a flood of them fills much
// between two passes of retention.
func (s *Store) RunBounds(ctx context.Context, every, retention time.Duration) error {
	return s.purging(ctx, every, func() (hook.Purged, error) {
		p := purge{s: s}
		err := p.each(ctx, retention, p.unaccepted)
		return p.done, err
	})
}

func (s *Store) purging(ctx context.Context, every time.Duration, pass func() (hook.Purged, error)) error {
	for ctx.Err() == nil {
		purged, err := pass()
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.LogAttrs(ctx, slog.LevelWarn, "retention.failed", slog.String("error", err.Error()))
		case purged != hook.Purged{}:
			s.log.LogAttrs(ctx, slog.LevelInfo, "retention.done", slog.Int("deliveries", purged.Deliveries),
				slog.Int("attempts", purged.Attempts), slog.Int("events", purged.Events),
				slog.Int("requests", purged.Requests), slog.Int("audit", purged.Audit), slog.Int("swept", purged.Swept))
		}
		_ = rest(ctx, every) // its only error is the end of ctx, which ends the loop
	}
	return nil
}

// Purge removes what is older than its workspace's retention and needed by nothing:
// finished deliveries but the newest 100 of each target that is not deleted, with their
// attempts; accepted requests but the newest 100 of each door; then events without
// deliveries. Requests that were not accepted go sooner. Then it sweeps. It goes in steps
// of about a thousand rows and rests in between; what it did before an error is counted
// and stays done.
func (s *Store) Purge(ctx context.Context, retention time.Duration) (hook.Purged, error) {
	p := purge{s: s}
	err := p.all(ctx, retention)
	return p.done, err
}

// purge is one pass.
type purge struct {
	s    *Store
	done hook.Purged
}

type purgeScope struct {
	workspace hook.ID
	retention time.Duration
}

type purgeTarget struct {
	id      hook.ID
	deleted *int64
}

func (p *purge) all(ctx context.Context, retention time.Duration) error {
	err := p.each(ctx, retention, func(ctx context.Context, workspace, old hook.ID) error {
		if err := p.unaccepted(ctx, workspace, old); err != nil || old == hook.NoID {
			return err
		}
		return p.workspace(ctx, workspace, old)
	})
	if err != nil {
		return err
	}
	if err := p.orphans(ctx); err != nil {
		return err
	}
	return p.steps(ctx, func() (bool, error) {
		n, err := p.s.Sweep(ctx, purgeRows)
		p.done.Swept += n
		return n > 0, err
	})
}

// each calls do for every workspace. What has an id below old is older than the
// workspace's retention; old is hook.NoID if it keeps for ever.
func (p *purge) each(ctx context.Context, retention time.Duration, do func(ctx context.Context, workspace, old hook.ID) error) error {
	var scopes []purgeScope
	err := p.s.read(ctx, func(tx *gorm.DB) (err error) {
		scopes, err = list(tx, func(rows *sql.Rows, w *purgeScope) error { return rows.Scan((*rowID)(&w.workspace), &w.retention) },
			"SELECT id, retention FROM workspaces ORDER BY id")
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range scopes {
		if w.retention == 0 {
			w.retention = retention
		}
		var old hook.ID
		if w.retention > 0 {
			old = hook.FirstID(p.s.now().Add(-w.retention))
		}
		if err := do(ctx, w.workspace, old); err != nil {
			return err
		}
	}
	return nil
}

// workspace removes what has an id below old.
func (p *purge) workspace(ctx context.Context, id, old hook.ID) error {
	var targets []purgeTarget
	err := p.s.read(ctx, func(tx *gorm.DB) (err error) {
		targets, err = list(tx, func(rows *sql.Rows, t *purgeTarget) error { return rows.Scan((*rowID)(&t.id), &t.deleted) },
			"SELECT t.id, t.deleted_at FROM ("+ofTargets("", "SELECT id, workspace_id, deleted_at FROM %t")+") t WHERE t.workspace_id = ? ORDER BY t.id", rowID(id))
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := p.target(ctx, t, old); err != nil {
			return err
		}
	}
	if err := p.requests(ctx, id, old); err != nil {
		return err
	}
	if err := p.replays(ctx, id, old); err != nil {
		return err
	}
	if err := p.log(ctx, id, old); err != nil {
		return err
	}
	var cursor hook.ID
	return p.steps(ctx, func() (more bool, err error) {
		cursor, more, err = p.events(ctx, id, cursor, old)
		return more, err
	})
}

func (p *purge) target(ctx context.Context, t purgeTarget, old hook.ID) error {
	if t.deleted == nil {
		kept, err := p.kept(ctx, t.id)
		if err != nil {
			return err
		}
		if compareIDs(kept, old) < 0 {
			old = kept
		}
	}
	var cursor hook.ID
	return p.steps(ctx, func() (more bool, err error) {
		cursor, more, err = p.deliveries(ctx, t.id, cursor, old)
		return more, err
	})
}

// kept is the id of the oldest delivery that the target keeps in any case.
func (p *purge) kept(ctx context.Context, target hook.ID) (hook.ID, error) {
	var ids []hook.ID
	in, order := p.s.along("d.target_id", "d.id", clauseOf{"?", []any{rowID(target)}}, span{to: lastID}, "DESC")
	err := p.s.search(ctx, func(tx *gorm.DB) (err error) {
		ids, err = list(tx, scanID, "SELECT d.id FROM deliveries d WHERE "+in.sql+" ORDER BY "+order+" LIMIT 1 OFFSET ?",
			append(in.args, keptPerTarget-1)...)
		return err
	})
	if err != nil || len(ids) == 0 {
		return hook.NoID, err // fewer: keep all
	}
	return ids[0], nil
}

// steps runs step until there is no more to do, and rests in between.
func (p *purge) steps(ctx context.Context, step func() (more bool, err error)) error {
	for {
		began := time.Now()
		more, err := step()
		if err != nil || !more {
			return err
		}
		if err := rest(ctx, purgeRest*time.Since(began)); err != nil {
			return err
		}
	}
}

// rest waits, unless ctx ends first.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// orphans removes the health of targets that have been swept, with all their history.
func (p *purge) orphans(ctx context.Context) error {
	return p.s.write(ctx, func(tx *gorm.DB) error {
		return tx.Exec("DELETE FROM target_health WHERE " + eachTarget(" AND ", "NOT EXISTS (SELECT 1 FROM %t w WHERE w.id = target_health.target_id)") + `
			AND (SELECT d.id FROM deliveries d WHERE d.target_id = target_health.target_id LIMIT 1) IS NULL`).Error
	})
}
