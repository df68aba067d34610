package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"

	"sallyport/internal/hook"
)

// sqliteTx runs fn in one BEGIN IMMEDIATE transaction on the only writer connection.
// It is never cancelled: cutting a commit short would leave its outcome open.
func (s *Store) sqliteTx(ctx context.Context, fn func(tx *sqliteTx) error) error {
	ctx = context.WithoutCancel(ctx)
	tx, err := s.sqlw.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	t := &sqliteTx{Tx: tx, ctx: ctx, s: s}
	if err := fn(t); err != nil {
		return errors.Join(err, rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%w: %w", hook.ErrUnknownOutcome, err)
	}
	s.stmts.keep(ctx, s.sqlw, t.fresh)
	return nil
}

func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

type sqliteTx struct {
	*sql.Tx
	ctx   context.Context
	s     *Store
	fresh []string // queries that no prepared statement was there for
}

// sqliteStmts keeps the pipeline's prepared statements of the writer connection.
type sqliteStmts struct {
	mu sync.Mutex
	m  map[string]*sql.Stmt
}

func (c *sqliteStmts) get(query string) *sql.Stmt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m[query]
}

// keep prepares queries for the transactions to come. It runs between transactions:
// within one the only connection is taken. One that fails is tried again next time.
func (c *sqliteStmts) keep(ctx context.Context, db *sql.DB, queries []string) {
	for _, q := range queries {
		if c.get(q) != nil {
			continue
		}
		st, err := db.PrepareContext(ctx, q)
		if err != nil {
			return
		}
		c.mu.Lock()
		if c.m == nil {
			c.m = make(map[string]*sql.Stmt)
		}
		c.m[q] = st
		c.mu.Unlock()
	}
}

func (t *sqliteTx) stmt(query string) (*sql.Stmt, error) {
	if st := t.s.stmts.get(query); st != nil {
		return t.StmtContext(t.ctx, st), nil
	}
	t.fresh = append(t.fresh, query)
	return t.PrepareContext(t.ctx, query)
}

func (t *sqliteTx) exec(query string, args ...any) (int64, error) {
	st, err := t.stmt(query)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *sqliteTx) query(row func(rows *sql.Rows) error, query string, args ...any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// insertRows inserts rows of equal width with multi-row VALUES, in pieces of powers of
// two so that few texts are prepared. head is the statement up to VALUES. Rows that are
// there already stay as they are.
func (t *sqliteTx) insertRows(head string, width int, args []any) error {
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", width), ",") + ")"
	for rows := len(args) / width; rows > 0; rows = len(args) / width {
		n := 64
		for n > rows {
			n /= 2
		}
		query := head + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + " ON CONFLICT DO NOTHING"
		if _, err := t.exec(query, args[:n*width]...); err != nil {
			return err
		}
		args = args[n*width:]
	}
	return nil
}
