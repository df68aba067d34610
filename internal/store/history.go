package store

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// searchTimeout bounds one statement of a search. A search that takes longer keeps a
// snapshot open, which makes claiming slow on Postgres and the WAL grow on SQLite.
const searchTimeout = 5 * time.Second

// onIndexes keeps Postgres, until the transaction ends, from reading whole tables or
// whole ranges of them before it takes the first twenty rows: right after a table was
// filled it knows no better. Sorts that cannot be avoided are still made.
const onIndexes = `set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
	set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
	set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true), set_config('jit', 'off', true)`

// search runs fn on one snapshot, for reads of history that may have much to look
// through.
func (s *Store) search(ctx context.Context, fn func(tx *gorm.DB) error) error {
	var err error
	if s.engine == Postgres {
		err = s.read(ctx, func(tx *gorm.DB) error {
			if err := tx.Exec("SELECT set_config('statement_timeout', ?, true), "+onIndexes, strconv.FormatInt(s.searchTimeout.Milliseconds(), 10)).Error; err != nil {
				return err
			}
			return fn(tx)
		})
		if sqlState(err) == "57014" && ctx.Err() == nil {
			return s.tooSlow(err)
		}
		return err
	}
	limited, cancel := context.WithTimeout(ctx, s.searchTimeout)
	defer cancel()
	err = s.read(limited, fn)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return s.tooSlow(err)
	}
	return err
}

func (s *Store) tooSlow(err error) error {
	return &hook.Error{
		Kind: hook.KindUnavailable, RetryAfter: retryAfter, Err: err,
		Detail: "the search took longer than " + s.searchTimeout.String() + "; narrow it with since and until, a webhook or an event",
	}
}

// list runs a query and reads its rows one by one. The texts of searches are as many as
// there are ways to ask, so no connection keeps them prepared.
func list[T any](tx *gorm.DB, scan func(rows *sql.Rows, to *T) error, query string, args ...any) (out []T, err error) {
	built := tx.Raw(query, args...)
	if built.Error != nil {
		return nil, built.Error
	}
	st := built.Statement
	pool, vars := st.ConnPool, st.Vars
	if prepared, ok := pool.(*gorm.PreparedStmtTX); ok {
		pool = prepared.Tx // SQLite
	} else if tx.Name() == Postgres {
		vars = append([]any{pgx.QueryExecModeCacheDescribe}, vars...)
	}
	rows, err := pool.QueryContext(st.Context, st.SQL.String(), vars...)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			_ = rows.Close()
			return nil, err
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		_ = rows.Close()
		return nil, err
	}
	return out, rows.Close()
}

// scanID reads rows of one id.
func scanID(rows *sql.Rows, to *hook.ID) error { return rows.Scan((*rowID)(to)) }

// pgUUIDs is a uuid[] parameter, so that a statement's text does not depend on how many.
type pgUUIDs []hook.ID

// Value writes the array as text.
func (ids pgUUIDs) Value() (driver.Value, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(id.String())
	}
	b.WriteByte('}')
	return b.String(), nil
}

// among is the condition that column is one of ids. ids must not be empty.
func (s *Store) among(column string, ids []hook.ID) clauseOf {
	if s.engine == Postgres {
		return clauseOf{column + " = ANY(?::uuid[])", []any{pgUUIDs(ids)}}
	}
	return clauseOf{column + " IN ?", []any{rowIDs(padded(ids))}}
}

// padded repeats the last value until there are a power of two, so that a list in a
// statement makes few different texts.
func padded[T any](values []T) []T {
	n := len(values)
	size := 1
	for size < n {
		size *= 2
	}
	return append(slices.Clip(values), slices.Repeat(values[n-1:], size-n)...)
}

// clauseOf is a piece of SQL with its arguments.
type clauseOf struct {
	sql  string
	args []any
}

// conditions gathers what must hold.
type conditions struct {
	sql  []string
	args []any
}

func (c *conditions) add(sql string, args ...any) {
	c.sql = append(c.sql, sql)
	c.args = append(c.args, args...)
}

func (c *conditions) addClause(p clauseOf) { c.add(p.sql, p.args...) }

func (c *conditions) String() string { return strings.Join(c.sql, " AND ") }

// span is a range of ids: from is in it, to is not.
type span struct{ from, to hook.ID }

// lastID is above every id there can be.
var lastID = hook.ID(bytes.Repeat([]byte{0xff}, 16))

// spanOf makes one range of a range of time and the place where the page before ended,
// so that each page begins at its first row however far down the list it is.
func spanOf(since, until time.Time, p hook.Page) span {
	r := span{to: lastID}
	if !since.IsZero() {
		r.from = hook.FirstID(since)
	}
	if !until.IsZero() {
		r.to = hook.FirstID(until)
	}
	if p.After == hook.NoID {
		return r
	}
	if p.Asc {
		r.from = maxID(r.from, nextID(p.After))
	} else if compareIDs(p.After, r.to) < 0 {
		r.to = p.After
	}
	return r
}

func compareIDs(a, b hook.ID) int { return bytes.Compare(a[:], b[:]) }

func maxID(a, b hook.ID) hook.ID {
	if compareIDs(a, b) < 0 {
		return b
	}
	return a
}

// nextID is the smallest id above id.
func nextID(id hook.ID) hook.ID {
	for i := len(id) - 1; i >= 0; i-- {
		id[i]++
		if id[i] != 0 {
			break
		}
	}
	return id
}

// direction is the ORDER BY of a page.
func direction(p hook.Page) string {
	if p.Asc {
		return "ASC"
	}
	return "DESC"
}

// along is the condition that a row lies within a range of ids under one value of the
// leading column of an index on (leading, id), and the ORDER BY that goes with it.
// Postgres is not told that the leading column is constant, because then any index on id
// would give the order too, and it might walk that one past millions of other rows;
// ordered by both columns there is one index to take. SQLite, which keeps no statistics,
// prefers the index with the equality.
func (s *Store) along(leading, id string, value clauseOf, r span, dir string) (where clauseOf, order string) {
	return s.alongAll([]string{leading}, id, []clauseOf{value}, r, dir)
}

// alongAll is along with several leading columns.
func (s *Store) alongAll(leading []string, id string, values []clauseOf, r span, dir string) (where clauseOf, order string) {
	var is, equal []string
	var args []any
	for i, v := range values {
		is = append(is, v.sql)
		equal = append(equal, leading[i]+" = "+v.sql)
		args = append(args, v.args...)
	}
	from, to := rowID(r.from), rowID(r.to)
	if s.engine == Postgres {
		row, value := "("+strings.Join(leading, ", ")+", "+id+")", "("+strings.Join(is, ", ")+", ?)"
		where = clauseOf{row + " >= " + value + " AND " + row + " < " + value, slices.Concat(args, []any{from}, args, []any{to})}
		return where, strings.Join(append(leading, id), " "+dir+", ") + " " + dir
	}
	where = clauseOf{strings.Join(equal, " AND ") + " AND " + id + " >= ? AND " + id + " < ?", append(args, from, to)}
	return where, id + " " + dir
}

// hidden is a column as no index knows it, for orders and ranges that must not decide
// which index is taken.
func hidden(column string) string { return "coalesce(" + column + ", " + column + ")" }
