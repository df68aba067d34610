package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"sallyport/internal/hook"
)

func TestTranslatePostgres(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]hook.Kind{
		"08006": hook.KindUnavailable, // connection failure
		"53300": hook.KindUnavailable, // too many connections
		"53100": hook.KindStorageFull,
		"57P01": hook.KindUnavailable, // admin shutdown
		"57014": hook.KindUnavailable, // statement timeout
		"25006": hook.KindUnavailable, // read only: a standby after a failover
		"25P03": hook.KindUnavailable, // idle in a transaction: this process was stopped
		"55P03": hook.KindUnavailable, // lock timeout
		"58030": hook.KindUnavailable, // I/O error
		"40P01": hook.KindUnavailable, // a deadlock that came again and again
		"23505": hook.KindInternal,
		"42601": hook.KindInternal,
	} {
		err := translate(fmt.Errorf("doing: %w", &pgconn.PgError{Code: state}))
		if got := hook.KindOf(err); got != want {
			t.Errorf("%s: %s; want %s", state, got, want)
		}
		var e *hook.Error
		if errors.As(err, &e) && e.RetryAfter <= 0 {
			t.Errorf("%s: no Retry-After", state)
		}
	}
	if !duplicate(&pgconn.PgError{Code: "23505"}) || duplicate(&pgconn.PgError{Code: "23503"}) {
		t.Error("duplicate keys are not told from others")
	}
	if !dataError(&pgconn.PgError{Code: "22P02"}) || !dataError(&pgconn.PgError{Code: "23514"}) || dataError(&pgconn.PgError{Code: "53100"}) {
		t.Error("data errors are not told from others")
	}
}

// What a pooler says of its own connection tells nothing of the transaction.
func TestOnlyPostgresRefuses(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]bool{"08P01": false, "08006": false, "23505": true, "57P01": true, "40P01": true} {
		if got := refused(fmt.Errorf("doing: %w", &pgconn.PgError{Code: state})); got != want {
			t.Errorf("%s: %v", state, got)
		}
	}
	if refused(io.ErrUnexpectedEOF) {
		t.Error("an end of the connection is taken for a refusal")
	}
}

func TestTranslateOther(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]hook.Kind{
		io.ErrUnexpectedEOF:      hook.KindUnavailable,
		context.DeadlineExceeded: hook.KindUnavailable,
		context.Canceled:         hook.KindInternal,
		errors.New("something"):  hook.KindInternal,
		hook.NotFound("x", "y"):  hook.KindNotFound,
	} {
		if got := hook.KindOf(translate(fmt.Errorf("doing: %w", err))); got != want {
			t.Errorf("%v: %s; want %s", err, got, want)
		}
	}
	if translate(nil) != nil {
		t.Error("no error became one")
	}
	_, err := Open(t.Context(), Config{DatabaseURL: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1"})
	if hook.KindOf(err) != hook.KindUnavailable {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestSQLiteErrors(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.Prepare(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	put := func(value []byte) error {
		return s.write(t.Context(), func(tx *gorm.DB) error { return tx.Create(&settingRow{"k", value}).Error })
	}
	if err := put([]byte("v")); err != nil {
		t.Fatal(err)
	}
	if err := put([]byte("v")); !duplicate(err) || !dataError(err) {
		t.Errorf("second row of a key: %v", err)
	}
	if err := s.write(t.Context(), func(tx *gorm.DB) error { return tx.Exec("INSERT INTO settings VALUES ('n', NULL)").Error }); duplicate(err) || !dataError(err) {
		t.Errorf("NULL: %v", err)
	}
	// Readers cannot write, and what a read did is undone on both engines.
	if err := s.read(t.Context(), func(tx *gorm.DB) error { return tx.Create(&settingRow{"r", nil}).Error }); err == nil {
		t.Error("a read wrote")
	}
	if _, err := s.sqlw.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutSetting(t.Context(), "big", make([]byte, 1<<20)); hook.KindOf(err) != hook.KindStorageFull {
		t.Errorf("full disk: %v", err)
	}
	if v, err := s.Setting(t.Context(), "k"); err != nil || string(v) != "v" {
		t.Errorf("after a full disk: %q, %v", v, err)
	}
}
