package main

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/store"
	"sallyport/internal/testkit"
	"sallyport/internal/vault"
)

const oneKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// place is a data directory and what a command in it says.
type place struct {
	t   *testing.T
	dir string
}

// newPlace has a database of this binary's schema, with an encryption key of its own.
func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, dir: filepath.Join(t.TempDir(), "data")}
	p.prepare()
	return p
}

func (p *place) prepare() {
	p.t.Helper()
	s, err := store.Open(p.t.Context(), store.Config{DataDir: p.dir})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := s.Prepare(p.t.Context(), false); err != nil {
		p.t.Fatal(err)
	}
	if _, err := vault.Open(p.t.Context(), s, nil, p.dir); err != nil {
		p.t.Fatal(err)
	}
	if _, err := s.EnsureDefaultWorkspace(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a command on the directory.
func (p *place) run(args ...string) (code int, said string) {
	p.t.Helper()
	return p.runWith(nil, args...)
}

func (p *place) runWith(environ []string, args ...string) (code int, said string) {
	p.t.Helper()
	var out bytes.Buffer
	env := append([]string{"SALLYPORT_DATA_DIR=" + p.dir}, environ...)
	code = run(context.WithoutCancel(p.t.Context()), process{args: args, environ: env, stdout: &out, stderr: &out})
	return code, out.String()
}

// want runs a command that must end with this code and say this.
func (p *place) want(code int, says string, args ...string) string {
	p.t.Helper()
	got, said := p.run(args...)
	if got != code || !strings.Contains(said, says) {
		p.t.Errorf("%v ended with %d, want %d, and said:\n%s\nwant: %s", args, got, code, said, says)
	}
	return said
}

// sql changes the database file as nobody should.
func (p *place) sql(statement string) {
	p.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(p.dir, "sallyport.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := db.ExecContext(p.t.Context(), statement); err != nil {
		p.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) file(name string) string { return filepath.Join(filepath.Dir(p.dir), name) }

func TestBackupWritesOnlyWhatItMay(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	out := p.file("backup.db")
	said := p.want(exitOK, "The encryption key is not in it. Keep "+filepath.Join(p.dir, "encryption.key")+" apart", "backup", "--out", out)
	if !strings.Contains(said, out+": ") || !strings.Contains(said, "schema ") {
		t.Errorf("said %s", said)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	p.want(exitError, "is there already", "backup", "--out", out)
	p.want(exitOK, out, "backup", "--out", out, "--force")
	p.want(exitUsage, "--out backup.db", "backup")
	p.want(exitError, "is the database itself", "backup", "--out", filepath.Join(p.dir, "sallyport.db"), "--force")
	key, err := os.ReadFile(filepath.Join(p.dir, "encryption.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []string{"encryption.key", "sallyport.db-wal", "sallyport.db-journal"} { // some are not there
		p.want(exitError, "the data directory's own", "backup", "--out", filepath.Join(p.dir, own), "--force")
	}
	if now, err := os.ReadFile(filepath.Join(p.dir, "encryption.key")); err != nil || !bytes.Equal(now, key) {
		t.Errorf("the key was replaced: %v", err)
	}
	if _, said := p.runWith([]string{"SALLYPORT_ENCRYPTION_KEY=" + oneKey}, "backup", "--out", p.file("b2.db")); !strings.Contains(said, "Keep the value of SALLYPORT_ENCRYPTION_KEY apart") {
		t.Errorf("said %s", said)
	}
	// Nothing half made is left.
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	p.sql("DELETE FROM goose_db_version WHERE version_id > 3")
	p.want(exitOK, "schema 3", "backup", "--out", out, "--force") // before an upgrade
	none := &place{t: t, dir: filepath.Join(t.TempDir(), "none")}
	none.want(exitError, "there is no database", "backup", "--out", out, "--force")
	if code, said := none.runWith([]string{"SALLYPORT_DATABASE_URL=postgres://nobody@127.0.0.1:1/x"}, "backup", "--out", out); code != exitError || !strings.Contains(said, "pg_dump -Fc") {
		t.Errorf("on Postgres: %d %s", code, said)
	}
}

func TestRestoreKeepsTheOldDatabaseAside(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	backup := p.file("backup.db")
	p.want(exitOK, "", "backup", "--out", backup)
	p.sql("INSERT INTO settings (key, value) VALUES ('after', x'00')")
	// What a restore that was killed left.
	if err := os.MkdirAll(filepath.Join(p.dir, stagePrefix+"dead"), 0o700); err != nil {
		t.Fatal(err)
	}
	said := p.want(exitOK, "sallyport serve --hold", "restore", backup)
	_, rest, _ := strings.Cut(said, "kept as ")
	aside := strings.TrimSuffix(strings.SplitN(rest, "\n", 2)[0], ".")
	for path, want := range map[string]int{filepath.Join(p.dir, "sallyport.db"): 0, aside: 1} {
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM settings WHERE key = 'after'").Scan(&n); err != nil || n != want {
			t.Errorf("%s has %d, want %d (%v)", path, n, want, err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(p.dir, stagePrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	// A backup may lie beside the database, whatever it is called.
	kept := filepath.Join(p.dir, "restore-me.db")
	p.want(exitOK, "", "backup", "--out", kept)
	p.want(exitOK, "restored "+kept, "restore", kept)
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
	// Into an empty directory, with the key brought along.
	q := &place{t: t, dir: filepath.Join(t.TempDir(), "fresh")}
	if err := os.MkdirAll(q.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(p.dir, "encryption.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(q.dir, "encryption.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := q.want(exitOK, "restored "+backup, "restore", backup); strings.Contains(said, "kept as") {
		t.Errorf("said %s", said)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	backup := p.file("backup.db")
	p.want(exitOK, "", "backup", "--out", backup)
	good, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(filepath.Join(p.dir, "sallyport.db"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) string {
		path := p.file(name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	changed := func(name, statement string) string {
		path := write(name, good)
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	damaged := bytes.Clone(good)
	for i := len(damaged) / 4; i < len(damaged); i += 512 {
		damaged[i] ^= 0xff
	}
	half := write("half.db", good)
	write("half.db-wal", []byte("frames"))
	other := newPlace(t)
	otherBackup := other.file("other.db")
	other.want(exitOK, "", "backup", "--out", otherBackup)
	for file, says := range map[string]string{
		p.file("none.db"):                      "no such file",
		p.dir:                                  "is no file",
		filepath.Join(p.dir, "sallyport.db"):   "is the database itself",
		write("text.db", []byte("not a base")): "text.db",
		write("empty.db", nil):                 "is no database of Sallyport",
		write("damaged.db", damaged):           "damaged",
		write("cut.db", good[:len(good)/2]):    "cut.db",
		half:                                   "-wal",
		changed("newer.db", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, 1)"): "knows only",
		changed("strange.db", "DROP TABLE goose_db_version"):                                          "is no database of Sallyport",
		otherBackup: "encryption key does not match this database",
	} {
		p.want(exitError, says, "restore", file)
	}
	p.want(exitUsage, "name the backup", "restore")
	lock := &node{}
	lock.cfg.DataDir = p.dir
	if err := lock.lockData(); err != nil {
		t.Fatal(err)
	}
	p.want(exitError, "is in use by process", "restore", backup)
	url := "SALLYPORT_DATABASE_URL=" + testkit.EmptyPostgres(t)
	if code, said := p.runWith([]string{url}, "restore", backup); code != exitError || !strings.Contains(said, "is in use by process") {
		t.Errorf("into Postgres, beside a server: %d %s", code, said)
	}
	if err := lock.lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if code, said := p.runWith([]string{"SALLYPORT_DATABASE_URL=postgres://nobody@127.0.0.1:1/x"}, "restore", write("pg.dump", []byte("PGDMP"))); code != exitError || !strings.Contains(said, "pg_restore") {
		t.Errorf("a dump of Postgres: %d %s", code, said)
	}
	// Into a Postgres with the key of the backup only, and only into an empty one.
	for _, c := range []struct {
		code       int
		says, file string
	}{
		{exitError, "encryption key does not match this database", otherBackup},
		{exitOK, "restored " + backup + " into Postgres: 1 workspace", backup},
		{exitError, "the database is in use", backup},
	} {
		if code, said := p.runWith([]string{url}, "restore", c.file); code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%s into Postgres: %d %s; want %d %s", c.file, code, said, c.code, c.says)
		}
	}
	after, err := os.Stat(filepath.Join(p.dir, "sallyport.db"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("a refused restore replaced the database (%v)", err)
	}
	// With the key of the backup, or by force.
	p.want(exitOK, "serve will refuse until", "restore", otherBackup, "--force")
	key, err := os.ReadFile(filepath.Join(other.dir, "encryption.key"))
	if err != nil {
		t.Fatal(err)
	}
	if code, said := p.runWith([]string{"SALLYPORT_ENCRYPTION_KEY=" + strings.TrimSpace(string(key))}, "restore", otherBackup); code != exitOK {
		t.Errorf("with its key: %d %s", code, said)
	}
}
