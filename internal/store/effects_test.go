package store_test

import (
	"testing"

	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestEffectsSQLite(t *testing.T) {
	t.Parallel()
	storetest.Effects(t, func(t *testing.T) *store.Store { return open(t, store.Config{DataDir: t.TempDir()}) })
}

func TestEffectsPostgres(t *testing.T) {
	t.Parallel()
	storetest.Effects(t, openPostgres)
}
