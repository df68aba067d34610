//go:build unix

package main

import "golang.org/x/sys/unix"

// freeBytes is how much an ordinary user may still write where dir lies.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}
