package main

import (
	"errors"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"

	"github.com/labstack/echo/v4"
	"github.com/spf13/cobra"
)

// newBenchEcho serves what doors are measured against: echo with a handler that does
// nothing, at the settings of our own server.
func newBenchEcho(p process) *cobra.Command {
	addr := ""
	cmd := &cobra.Command{
		Use:    "bench-echo",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(gcPercent)
			}
			e := echo.New()
			e.GET("/readyz", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
			e.POST("/in/:code", func(c echo.Context) error { return c.NoContent(http.StatusAccepted) })
			s := newServer(e, slog.New(slog.NewTextHandler(p.stderr, nil)))
			s.Addr = addr
			go func() {
				<-cmd.Context().Done()
				_ = s.Close()
			}()
			if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:0", "where it listens")
	return cmd
}
