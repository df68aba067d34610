//go:build !linux

package testkit

// memoryDir names nothing where there is no well-known file system in memory.
const memoryDir = ""

func freeBytes(string) uint64 { return 0 }
