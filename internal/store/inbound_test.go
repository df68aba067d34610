package store_test

import (
	"testing"

	"sallyport/internal/store"
	"sallyport/internal/store/storetest"
)

func TestInboundSQLite(t *testing.T) {
	t.Parallel()
	storetest.Inbound(t, worldSQLite, inside)
}

func TestInboundPostgres(t *testing.T) {
	t.Parallel()
	storetest.Inbound(t, worldPostgres, inside)
}

var inside = storetest.Inside{ApplyRecord: store.ApplyRecord, SetUnacceptedBytes: store.SetUnacceptedBytes}
