// Package storetest is one suite for both engines. Each part takes a function that
// opens a fresh, prepared store, so that every test has its own world.
package storetest

import (
	"testing"

	"sallyport/internal/store"
)

// Opener opens a fresh store with the whole schema; it is closed with the test.
type Opener func(t *testing.T) *store.Store

// Config runs the suite of the configuration half.
func Config(t *testing.T, open Opener) {
	t.Run("settings", func(t *testing.T) { t.Parallel(); settings(t, open) })
	t.Run("workspaces", func(t *testing.T) { t.Parallel(); workspaces(t, open) })
}
