package store_test

import (
	"testing"

	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestPipelineSQLite(t *testing.T) {
	t.Parallel()
	storetest.Pipeline(t, func(t *testing.T) *store.Store { return open(t, store.Config{DataDir: t.TempDir()}) })
}

func TestPipelinePostgres(t *testing.T) {
	t.Parallel()
	storetest.Pipeline(t, openPostgres)
}
