package testkit_test

import (
	"net"
	"testing"

	"sallyport/internal/testkit"
)

// What an ended test had, no other gets soon.
func TestFreeAddrIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 300 {
		t.Run("a short test", func(t *testing.T) {
			addr := testkit.FreeAddr(t)
			if seen[addr] {
				t.Errorf("%s was given again", addr)
			}
			seen[addr] = true
		})
	}
}

// Tests side by side get addresses of their own, which stay theirs while nothing listens there.
func TestFreeAddr(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 300 {
		addr := testkit.FreeAddr(t)
		if seen[addr] {
			t.Fatalf("%s was given twice", addr)
		}
		seen[addr] = true
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
