package testkit_test

import (
	"os/exec"
	"strings"
	"testing"

	"sallyport/internal/testkit"
)

func TestBinary(t *testing.T) {
	t.Parallel()
	one, other := testkit.Binary(t), testkit.Binary(t)
	if one == other {
		t.Error("two callers got one file, which each may move or remove")
	}
	for _, path := range []string{one, other} {
		out, err := exec.CommandContext(t.Context(), path, "version").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "sallyport ") {
			t.Errorf("%s version: %q, %v", path, out, err)
		}
	}
}
