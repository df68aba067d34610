package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/hook"
)

// FinishEffects is Finish for actions that do something in the store: what they do is
// committed with their attempt or not at all, so no crash can do it twice. Of a delivery
// whose effects were made of what has changed since nothing is stored, not even the
// attempt. Running the same batch again after hook.ErrUnknownOutcome is safe.
func (s *Store) FinishEffects(ctx context.Context, node hook.NodeID, batch []*hook.Finish) (fates []hook.Effect, err error) {
	if s.engine == Postgres {
		fates, err = s.finishEffectsPostgres(ctx, node, batch)
	} else {
		fates, err = s.finishEffectsSQLite(ctx, node, batch)
	}
	if err == nil {
		s.signalLogged()
	}
	return fates, translate(err)
}

// ApplyEffects is what FinishEffects does beside the deliveries, for changes that no
// action makes.
func (s *Store) ApplyEffects(ctx context.Context, e *hook.Effects) (fate hook.Effect, err error) {
	if s.engine == Postgres {
		err = s.hotDo(ctx, func(conn *pgxpool.Conn) error {
			return s.effectTx(ctx, conn, func(ctx context.Context, tx pgx.Tx) error {
				stale, err := staleVersions(ctx, tx, e.Versions)
				if fate = hook.EffectStale; err != nil || len(stale) > 0 {
					return err
				}
				fresh, err := s.applyRecordsPG(ctx, tx, e)
				if err != nil {
					return err
				}
				if !fresh {
					return errStaleRecord
				}
				if e.Audit != nil {
					args, err := s.auditRow(ctx, e.Audit)
					if err == nil {
						_, err = tx.Exec(ctx, numbered(auditInsert), args...)
					}
					if err != nil {
						return err
					}
				}
				fate = hook.EffectDone
				return s.insertEffectEvents(ctx, conn, tx, []*hook.Effects{e})
			})
		})
	} else {
		err = s.sqliteTx(ctx, func(tx *sqliteTx) error {
			fate = hook.EffectStale
			if stale, err := tx.stale(e.Versions); err != nil || stale {
				return err
			}
			done, err := tx.apply(e, micros(s.ids.Now()))
			if err == nil && !done {
				return errStaleRecord
			}
			fate = hook.EffectDone
			if err == nil && e.Audit != nil {
				var args []any
				if args, err = s.auditRow(ctx, e.Audit); err == nil {
					_, err = tx.exec(auditInsert, args...)
				}
			}
			return err
		})
	}
	if errors.Is(err, errStaleRecord) {
		return hook.EffectStale, nil
	}
	if err == nil {
		s.signalLogged()
	}
	return fate, translate(err)
}

// errStaleRecord takes a transaction back.
var errStaleRecord = errors.New("a record has changed")
