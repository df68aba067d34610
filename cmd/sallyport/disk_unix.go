//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeBytes is how much an ordinary user may still write where dir lies.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}

// maxOpenFiles is how many files this process may have open.
func maxOpenFiles() (most uint64, known bool) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true //nolint:unconvert // it is signed on some systems
}

// giveToOwner lets files belong to whom their directory belongs, when root made them for a
// service that is not root.
func giveToOwner(dir string, files ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	for _, f := range files {
		if err := os.Lchown(f, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return nil
}
