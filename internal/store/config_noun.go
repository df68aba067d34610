package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// What reading and changing one kind of configuration has in common with every other.

// one reads a single noun; find returns nil if there is none, which is the error missing.
func one[N any](ctx context.Context, s *Store, missing error, find func(tx *gorm.DB) (*N, error)) (n *N, err error) {
	err = s.read(ctx, func(tx *gorm.DB) (err error) {
		n, err = present(find(tx))(missing)
		return err
	})
	return n, err
}

// present turns a noun that was looked for and is not there into an error. It takes two
// calls because Go hands several results on only where they are all there is to hand on.
func present[N any](n *N, err error) func(missing error) (*N, error) {
	return func(missing error) (*N, error) {
		if err == nil && n == nil {
			err = missing
		}
		return n, err
	}
}

// listing reads one page of the rows that match where, and reports whether more follow.
func listing[R, N any](ctx context.Context, s *Store, noun func(*R) (*N, error), f hook.ListFilter, p hook.Page, where string, args ...any) ([]*N, bool, error) {
	return listingOf(ctx, s, noun, p, func(tx *gorm.DB) *gorm.DB { return s.listed(tx.Where(where, args...), f, p) })
}

// listingOf reads one page of a query that asks for one row more.
func listingOf[R, N any](ctx context.Context, s *Store, noun func(*R) (*N, error), p hook.Page, query func(tx *gorm.DB) *gorm.DB) ([]*N, bool, error) {
	var rows []R
	err := s.read(ctx, func(tx *gorm.DB) error { return query(tx).Find(&rows).Error })
	if err != nil {
		return nil, false, err
	}
	rows, more := paged(rows, p)
	out := make([]*N, len(rows))
	for i := range rows {
		if out[i], err = noun(&rows[i]); err != nil {
			return nil, false, err
		}
	}
	return out, more, nil
}

// editing changes a scope's configuration: decide returns what is there and what it has
// saved in its place, nil if everything stays as it is. The result is what is there then.
// The change is on record with it, or there is none.
func editing[N any, P interface {
	*N
	hook.Audited
}](ctx context.Context, s *Store, scope hook.ID, dry bool, decide func(tx *gorm.DB) (cur, next *N, err error)) (*N, error) {
	var out *N
	err := s.changing(ctx, scope, dry, func(tx *gorm.DB) (bool, error) {
		cur, next, err := decide(tx)
		if out = next; next == nil || err != nil {
			out = cur
			return false, err
		}
		var before hook.Audited
		if cur != nil {
			before = P(cur)
		}
		return true, s.auditEdit(tx, scope, before, P(next))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// touch writes times into a column of a model's rows, unless later ones are there. It is
// no change of configuration.
func (s *Store) touch(ctx context.Context, model any, column string, at map[hook.ID]time.Time) error {
	ids := sortedIDs(at)
	if len(ids) == 0 {
		return nil
	}
	return s.write(ctx, func(tx *gorm.DB) error {
		for _, id := range ids {
			us := micros(at[id])
			err := tx.Model(model).Where("id = ? AND ("+column+" IS NULL OR "+column+" < ?)", rowID(id), us).
				UpdateColumn(column, us).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
}
