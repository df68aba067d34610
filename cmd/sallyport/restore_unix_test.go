//go:build unix

package main

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A service that is not root opens what root restored for it.
func TestRestoreByRootIsForTheService(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root makes files for others")
	}
	p := newPlace(t)
	backup := p.file("backup.db")
	p.want(exitOK, "", "backup", "--out", backup)
	const service = 65532
	if err := os.Chown(p.dir, service, service); err != nil {
		t.Fatal(err)
	}
	p.want(exitOK, "restored", "restore", backup)
	for _, name := range []string{"sallyport.db", "lock"} {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(p.dir, name), &st); err != nil || st.Uid != service || st.Gid != service || st.Mode&0o777 != 0o600 {
			t.Errorf("%s belongs to %d:%d, mode %o (%v)", name, st.Uid, st.Gid, st.Mode&0o777, err)
		}
	}
}
