package store_test

import (
	"testing"

	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestInboundSQLite(t *testing.T) {
	t.Parallel()
	storetest.Inbound(t, worldSQLite, store.ApplyRecord)
}

func TestInboundPostgres(t *testing.T) {
	t.Parallel()
	storetest.Inbound(t, worldPostgres, store.ApplyRecord)
}
