package store

import (
	"context"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"sallyport/internal/testkit"
)

// Without a limit a machine that died keeps the only writer waiting for a quarter of an hour.
func TestConnectionsGiveUpADeadMachine(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{DatabaseURL: testkit.EmptyPostgres(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, pool := range map[string]*pgxpool.Pool{"api": s.api, "hot": s.hot} {
		conn, err := pool.Acquire(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Release()
		tcp, ok := conn.Conn().PgConn().Conn().(*net.TCPConn)
		if !ok {
			t.Skipf("connected by %T", conn.Conn().PgConn().Conn())
		}
		raw, err := tcp.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		got := map[int]int{tcpUserTimeout: 0, syscall.TCP_KEEPIDLE: 0, syscall.TCP_KEEPINTVL: 0, syscall.TCP_KEEPCNT: 0}
		if err := raw.Control(func(fd uintptr) {
			for option := range got {
				if got[option], err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option); err != nil {
					return
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		if err != nil || got[tcpUserTimeout] != 15_000 || got[syscall.TCP_KEEPIDLE] != 5 || got[syscall.TCP_KEEPINTVL] != 5 || got[syscall.TCP_KEEPCNT] != 3 {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
