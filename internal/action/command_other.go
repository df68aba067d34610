//go:build !unix

package action

import "os/exec"

// inOwnGroup does nothing: there are no process groups here.
func inOwnGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
