package store_test

import (
	"testing"

	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestNoticesSQLite(t *testing.T) {
	t.Parallel()
	storetest.Notices(t, func(t *testing.T) *store.Store { return open(t, store.Config{DataDir: t.TempDir()}) })
}

func TestNoticesPostgres(t *testing.T) {
	t.Parallel()
	storetest.Notices(t, openPostgres)
}
