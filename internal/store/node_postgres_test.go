package store_test

import (
	"testing"

	"sallyport/internal/hook"
)

// A standby that is promoted without the last of the log knows neither the row of a node that
// runs on nor that its number was given: no other node gets it.
func TestNodeIDsAfterAFailover(t *testing.T) {
	t.Parallel()
	s, db := worldPostgres(t)
	register := func() hook.NodeID {
		t.Helper()
		id, _, err := s.Register(t.Context(), "instance", "name", hook.NoID)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	before := register()
	for _, query := range []string{"DELETE FROM nodes", "ALTER TABLE nodes ALTER COLUMN id RESTART"} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	if after := register(); after == before {
		t.Errorf("two nodes have the number %d", after)
	}
	if alive, _, err := s.Beat(t.Context(), before, hook.NoID); err != nil || alive {
		t.Errorf("the first, which is not in the store, is alive: %v, %v", alive, err)
	}
}
