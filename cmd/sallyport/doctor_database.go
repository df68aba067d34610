package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/store"
	"sallyport/internal/vault"
)

// database looks at the store, and at what can only be told from it.
func (d *doctor) database(ctx context.Context) {
	const check = "database"
	if !d.cfg.Postgres() {
		if _, err := os.Stat(filepath.Join(d.cfg.DataDir, "sallyport.db")); errors.Is(err, os.ErrNotExist) {
			d.found(warn, check, "the first `sallyport serve` makes it; if there should be one, see SALLYPORT_DATA_DIR and SALLYPORT_DATABASE_URL", "there is none in %s", d.cfg.DataDir)
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	at := filepath.Join(d.cfg.DataDir, "sallyport.db")
	if d.cfg.Postgres() {
		at = d.cfg.RedactedDatabase()
	}
	s, err := openStore(ctx, d.cfg, hook.NewIDs(), newLogger(d.cfg, d.p))
	if err != nil {
		d.found(fail, check, "see SALLYPORT_DATABASE_URL, and whether the database runs and lets this machine in", "%s: %v", at, err)
		return
	}
	defer s.Close() //nolint:errcheck // only read
	current, want, empty, err := s.MigrationStatus(ctx)
	if err != nil {
		d.found(fail, check, "see SALLYPORT_DATABASE_URL", "%s: %v", at, err)
		return
	}
	if empty {
		d.found(warn, check, "the first `sallyport serve` fills it", "%s is empty", at)
		return
	}
	if !d.schema(current, want) {
		return
	}
	facts, err := s.Diagnose(ctx)
	if err != nil {
		d.found(fail, check, "see the log of the database", "%s: %v", at, err)
		return
	}
	d.judgeDatabase(at, s.Engine(), facts)
	d.clock(facts, time.Now())
	d.nodes(facts)
	if _, err := vault.Check(ctx, s, d.cfg.MasterKey(), d.cfg.DataDir); err != nil {
		d.found(fail, "key", "give "+rightKey+", as SALLYPORT_ENCRYPTION_KEY or in "+keyFile(d.cfg), "%v", err)
	} else {
		d.found(fine, "key", "", "%s opens the secrets", keyPlace(d.cfg))
	}
}

// schema reports that the database can be looked into.
func (d *doctor) schema(current, want int) bool {
	switch {
	case current > want:
		d.found(fail, "schema", "start a sallyport as new as the one that migrated it", "the database has schema %d, this binary knows only %d", current, want)
	case current < want && d.cfg.Postgres():
		d.found(fail, "schema", "run `sallyport migrate`; --status says whether old nodes may go on beside it", "the database has schema %d, this binary wants %d", current, want)
	case current < want:
		d.found(warn, "schema", "make a backup; the next `sallyport serve` migrates it", "the database has schema %d, this binary wants %d", current, want)
	default:
		d.found(fine, "schema", "", "%d", current)
		return true
	}
	return false
}

// Limits of what is usual.
const (
	slowDatabase   = 20 * time.Millisecond // one round trip; a delivery waits for two
	oldTransaction = 10 * time.Minute
	largeSkew      = 2 * time.Second
)

func (d *doctor) judgeDatabase(at, engine string, f *store.Diagnosis) {
	const check = "database"
	if f.Latency > slowDatabase {
		d.found(warn, check, "bring the node nearer to its database", "one round trip takes %s", f.Latency.Round(time.Millisecond/10))
	}
	d.found(fine, check, "", "%s %s at %s, %s a round trip", engine, f.Version, at, f.Latency.Round(time.Microsecond))
	p := f.Postgres
	if p == nil {
		return
	}
	if p.InRecovery {
		d.found(fail, check, "name the primary, or several hosts with target_session_attrs=read-write, in SALLYPORT_DATABASE_URL", "it is a standby and takes no writes")
	}
	if p.Fsync != "on" || p.FullPageWrites != "on" {
		d.found(fail, check, "set fsync and full_page_writes on, and reload Postgres", "fsync is %s, full_page_writes %s: a power cut may damage everything", p.Fsync, p.FullPageWrites)
	}
	switch {
	case p.SynchronousCommit == "off":
		d.found(fail, check, "set synchronous_commit on", "synchronous_commit is off: what was answered 202 may be gone after a crash of the database")
	case p.SynchronousStandbyNames == "":
		d.found(fine, check, "", "synchronous_commit is %s, no synchronous standby: what was accepted last does not survive the loss of the machine", p.SynchronousCommit)
	default:
		d.found(fine, check, "", "synchronous_commit is %s, standbys %s", p.SynchronousCommit, p.SynchronousStandbyNames)
	}
	if need := d.cfg.DBMaxConns + 10; p.MaxConnections-p.Connections < need {
		d.found(warn, check, "raise max_connections, lower SALLYPORT_DB_MAX_CONNS, or put PgBouncer between", "%d of %d connections are taken; one more node may need %d", p.Connections, p.MaxConnections, need)
	}
	if p.OldestTransaction > oldTransaction {
		d.found(warn, check, "end it: dead rows pile up behind it, and claims get slow", "%s has had a transaction open for %s", p.Holder, p.OldestTransaction.Round(time.Second))
	}
}

// clock compares ours with the database's, and with the events in it.
func (d *doctor) clock(f *store.Diagnosis, now time.Time) {
	switch skew := f.Skew.Abs(); {
	case skew > largeSkew:
		d.found(warn, "clock", "run chrony or systemd-timesyncd on both machines", "this machine and its database differ by %s", skew.Round(time.Millisecond))
	case f.Newest.Sub(now.Add(f.Skew)) > time.Minute:
		d.found(fail, "clock", "set the clock of this machine right", "the newest event is of %s, which has not come yet", f.Newest.UTC().Format(time.RFC3339))
	default:
		d.found(fine, "clock", "", "agrees with the database's, to %s", skew.Round(time.Millisecond))
	}
}

func (d *doctor) nodes(f *store.Diagnosis) {
	alive := 0
	for _, n := range f.Nodes {
		if n.Silent <= d.cfg.NodeDeadAfter {
			alive++
		} else {
			d.found(warn, "nodes", "another node, or its own restart, takes over what it held", "%s has been silent for %s", n.Name, n.Silent.Round(time.Second))
		}
	}
	if alive == 0 {
		d.found(warn, "nodes", "start `sallyport serve`", "none is alive: nothing is accepted or sent")
	} else {
		d.found(fine, "nodes", "", "%d alive", alive)
	}
	if f.Hold.On {
		d.found(warn, "hold", "POST /v1/dispatch/release with a platform key lets go", "the installation sends nothing since %s", f.Hold.Since.UTC().Format(time.RFC3339))
	} else {
		d.found(fine, "hold", "", "not on hold")
	}
}
