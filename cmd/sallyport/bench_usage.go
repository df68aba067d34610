package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// usage is what processes used, as far as /proc tells; zero elsewhere.
type usage struct {
	server, postgres     time.Duration // CPU
	serverMB, postgresMB float64       // proportional set size: shared pages count by share
}

// usage of the server, and of its Postgres if that runs on this machine.
func (b *benched) usage() (u usage) {
	u.server, u.serverMB = processUsage(b.cmd.Process.Pid)
	if b.postmaster == 0 {
		return u
	}
	names, _ := filepath.Glob("/proc/[0-9]*") // the pattern is valid
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(name))
		if err != nil || (pid != b.postmaster && parentOf(pid) != b.postmaster) {
			continue
		}
		cpu, mb := processUsage(pid)
		u.postgres += cpu
		u.postgresMB += mb
	}
	return u
}

// findPostmaster returns the process that all others of the database's server have as
// parent, 0 if it is not on this machine. CPU of connections that ended is not seen.
func findPostmaster(ctx context.Context, databaseURL string) (int, error) {
	c, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close(ctx) }()
	var backend int
	if err := c.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return 0, err
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", backend))
	if err != nil || !strings.HasPrefix(string(comm), "postgres") {
		return 0, nil // another machine's process
	}
	return parentOf(backend), nil
}

// clockTick is USER_HZ, which Linux fixes at 100 for user space.
const clockTick = 10 * time.Millisecond

// statFields are the fields of /proc/PID/stat after the name, which may hold blanks.
func statFields(pid int) [][]byte {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
}

func parentOf(pid int) int {
	fields := statFields(pid)
	if len(fields) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(string(fields[1])) // digits
	return n
}

func processUsage(pid int) (cpu time.Duration, pssMB float64) {
	dir := "/proc/" + strconv.Itoa(pid)
	fields := statFields(pid)
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
