package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"sallyport/internal/hook"
)

// retryAfter is what callers are told to wait when the database is away: long enough
// for a restart to make progress, short enough to be back soon after a failover.
const retryAfter = 2 * time.Second

// translate gives the driver's error a kind, by its code and never by its text. What
// has a kind already, and what it does not know, comes back as it was.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var known *hook.Error
	if errors.As(err, &known) {
		return err
	}
	switch {
	case full(err):
		return &hook.Error{Kind: hook.KindStorageFull, Detail: "the disk of the database is full", RetryAfter: 30 * time.Second, Err: err}
	case unavailable(err):
		return &hook.Error{Kind: hook.KindUnavailable, Detail: "the database does not answer", RetryAfter: retryAfter, Err: err}
	}
	return err
}

// sqlState is the five characters of a Postgres error, "" for any other error.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// sqliteCode is the extended result code of a SQLite error, 0 for any other error.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// duplicate reports that a unique index refused a row.
func duplicate(err error) bool {
	if errors.Is(err, gorm.ErrDuplicatedKey) || sqlState(err) == "23505" {
		return true
	}
	code := sqliteCode(err)
	return code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || code == sqlite3.SQLITE_CONSTRAINT_UNIQUE ||
		code == sqlite3.SQLITE_CONSTRAINT_ROWID
}

// dataError reports that the rows themselves were refused (SQLSTATE classes 22 and
// 23, and their like), so that without the offending one the others may pass.
func dataError(err error) bool {
	state := sqlState(err)
	if strings.HasPrefix(state, "22") || strings.HasPrefix(state, "23") {
		return true
	}
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE:
		return true
	}
	return false
}

// lostRace reports that the same transaction may well succeed when run again at once.
func lostRace(err error) bool {
	state := sqlState(err)
	return state == "40001" || state == "40P01"
}

// full reports that the database cannot grow.
func full(err error) bool {
	return sqlState(err) == "53100" || sqliteCode(err)&0xff == sqlite3.SQLITE_FULL
}

// refused reports that Postgres itself refused a transaction, which therefore was not
// committed. Errors of connections (class 08) are what a pooler in between tells, such as
// PgBouncer when its own connection ended under the statement: it cannot know.
func refused(err error) bool {
	state := sqlState(err)
	return state != "" && state[:2] != "08"
}

// unavailable reports that the database could not be asked, which passes by itself.
// Whether a commit under way took place is then unknown.
func unavailable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if state := sqlState(err); state != "" {
		switch state[:2] {
		case "08", "53", "57":
			return true
		}
		// 25P03: the process was stopped within a transaction; 55P03: lock_timeout, if the role has one.
		return state == "25006" || state == "25P03" || state == "55P03" || state == "58030" || lostRace(err)
	}
	switch sqliteCode(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY:
		return true
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.Timeout(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
