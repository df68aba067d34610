package testkit

import "syscall"

// memoryDir is where Linux has a file system in memory, if it has one; in containers it often
// is too small.
const memoryDir = "/dev/shm"

// freeBytes is the room in a directory's file system if that is in memory, else 0.
func freeBytes(dir string) uint64 {
	const tmpfs = 0x01021994 // TMPFS_MAGIC, statfs(2)
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil || stat.Type != tmpfs {
		return 0
	}
	return stat.Bavail * uint64(stat.Bsize)
}
