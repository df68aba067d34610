package main

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"sallyport/internal/action"
	"sallyport/internal/config"
)

// dataDirectory looks at rights and room.
func (d *doctor) dataDirectory() {
	const check = "data"
	dir := d.cfg.DataDir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.found(warn, check, "the first `sallyport serve` makes it; if there should be one, see SALLYPORT_DATA_DIR", "%s is not there", dir)
		return
	case err != nil:
		d.found(fail, check, "see SALLYPORT_DATA_DIR, and as which user this runs", "%v", err)
		return
	case !info.IsDir():
		d.found(fail, check, "name a directory in SALLYPORT_DATA_DIR", "%s is no directory", dir)
		return
	}
	probe, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		d.found(fail, check, "give the user that runs Sallyport the directory: chown", "nothing can be written in %s: %v", dir, err)
		return
	}
	_ = errors.Join(probe.Close(), os.Remove(probe.Name()))
	if info.Mode().Perm()&0o007 != 0 {
		d.found(warn, check, "chmod 700 "+dir, "everybody on this machine may look into %s", dir)
	}
	for _, name := range []string{"sallyport.db", "encryption.key", "admin.key"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			d.found(warn, check, "chmod 600 "+path, "others may read %s", path)
		}
	}
	free, err := freeBytes(dir)
	if err != nil {
		d.found(warn, check, "", "how much room there is cannot be told: %v", err)
		return
	}
	d.room(int64(min(free, 1<<62)))
}

// room judges the free space where the data lies.
func (d *doctor) room(free int64) {
	const check = "data"
	switch least := d.cfg.MinFreeDisk; {
	case d.cfg.Postgres():
		d.found(fine, check, "", "%s can be written", d.cfg.DataDir)
	case free < least:
		d.found(fail, check, "make room, or lower SALLYPORT_MIN_FREE_DISK", "%s free: publishing is refused below %s", roundSize(free), config.FormatSize(least))
	case free < 4*least:
		d.found(warn, check, "make room before it is needed", "%s free: publishing is refused below %s", roundSize(free), config.FormatSize(least))
	default:
		d.found(fine, check, "", "%s can be written, %s free", d.cfg.DataDir, roundSize(free))
	}
}

// files reads what settings name, as a start does.
func (d *doctor) files() {
	if _, err := loadPresets(d.cfg.PresetsDir); err != nil {
		d.found(fail, "files", "a start fails with it, too", "%v", err)
	}
	if d.cfg.Commands == "" {
		return
	}
	if _, err := action.LoadCommands(d.cfg.Commands); err != nil {
		d.found(fail, "files", "a start fails with it, too", "SALLYPORT_COMMANDS: %v", err)
	}
}

// openFiles compares how many files a process may have open with what the node may need: a
// connection to each receiver, and from each caller.
func (d *doctor) openFiles() {
	most, known := maxOpenFiles()
	if known {
		d.fileLimit(most)
	}
}

func (d *doctor) fileLimit(most uint64) {
	want := uint64(2*d.cfg.MaxSlots + 1000)
	if most < want {
		d.found(warn, "open files", "raise it (ulimit -n, LimitNOFILE= of the systemd unit), or lower SALLYPORT_MAX_SLOTS",
			"a process may have %d open; %d requests at a time may need %d", most, d.cfg.MaxSlots, want)
		return
	}
	d.found(fine, "open files", "", "%d may be open", most)
}

// certificate looks at our own.
func (d *doctor) certificate() {
	if !d.cfg.TLS() {
		return
	}
	c, err := loadCertificate(d.cfg.TLSCert, d.cfg.TLSKey, slog.New(slog.DiscardHandler))
	if err != nil {
		d.found(fail, "certificate", "see SALLYPORT_TLS_CERT and SALLYPORT_TLS_KEY", "%v", err)
		return
	}
	d.validity(c.now.Leaf, time.Now())
}

// expiresSoon is when a certificate should have been renewed.
const expiresSoon = 14 * 24 * time.Hour

func (d *doctor) validity(c *x509.Certificate, now time.Time) {
	until := c.NotAfter.UTC().Format(time.DateOnly)
	switch {
	case now.After(c.NotAfter):
		d.found(fail, "certificate", "renew it; the running server takes it up by itself", "it expired on %s", until)
	case now.Before(c.NotBefore):
		d.found(fail, "certificate", "check the clock of this machine", "it is not valid before %s", c.NotBefore.UTC().Format(time.DateOnly))
	case now.Add(expiresSoon).After(c.NotAfter):
		d.found(warn, "certificate", "renew it; the running server takes it up by itself", "it expires on %s", until)
	default:
		d.found(fine, "certificate", "", "valid until %s", until)
	}
}
