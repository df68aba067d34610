//go:build unix

package action

import (
	"os/exec"
	"syscall"
)

// inOwnGroup makes the command the leader of a process group, so that what it starts can be
// killed with it.
func inOwnGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
