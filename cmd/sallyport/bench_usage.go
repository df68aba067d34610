package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what processes used, as far as /proc tells; zero elsewhere.
type usage struct {
	server, postgres     time.Duration // CPU
	serverMB, postgresMB float64       // proportional set size: shared pages count by share
}

// usage of the server, and of every Postgres process of this machine.
func (b *benched) usage() (u usage) {
	u.server, u.serverMB = processUsage(b.cmd.Process.Pid)
	if !b.pg {
		return u
	}
	names, _ := filepath.Glob("/proc/[0-9]*/comm") // the pattern is valid
	for _, name := range names {
		comm, err := os.ReadFile(name) //nolint:gosec // of /proc
		if err != nil || !strings.HasPrefix(string(comm), "postgres") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		cpu, mb := processUsage(pid)
		u.postgres += cpu
		u.postgresMB += mb
	}
	return u
}

// clockTick is USER_HZ, which Linux fixes at 100 for user space.
const clockTick = 10 * time.Millisecond

func processUsage(pid int) (cpu time.Duration, pssMB float64) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return 0, 0
	}
	// The second field, in brackets, may hold blanks.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) > 12 {
		for _, f := range fields[11:13] { // utime, stime
			n, _ := strconv.ParseInt(string(f), 10, 64) // digits
			cpu += time.Duration(n) * clockTick
		}
	}
	rollup, err := os.ReadFile(dir + "/smaps_rollup")
	if err != nil {
		return cpu, 0
	}
	for line := range strings.Lines(string(rollup)) {
		if v, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 64) // digits
			pssMB = kb / 1024
		}
	}
	return cpu, pssMB
}
