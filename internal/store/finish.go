package store

import (
	"context"

	"sallyport/internal/hook"
)

// Finish ends the stay of deliveries on a node in one transaction: the attempt of each
// is recorded, and its next state is written if the node still held it. held tells,
// by index, which it did; the attempt of the others is recorded as superseded. Running
// the same batch again after hook.ErrUnknownOutcome is safe: an attempt that is there
// already counts as held.
func (s *Store) Finish(ctx context.Context, node hook.NodeID, batch []*hook.Finish) (held []bool, err error) {
	if s.engine == Postgres {
		held, err = s.finishPostgres(ctx, node, batch)
	} else {
		held, err = s.finishSQLite(ctx, node, batch)
	}
	return held, translate(err)
}

// ordinary is a delivery handed over at birth whose one attempt succeeded: nothing but
// its row and its attempt is written.
func ordinary(f *hook.Finish) bool {
	return !f.Job.Claimed && f.Attempt != nil && f.State == hook.StateSucceeded
}

func attemptStatus(a *hook.Attempt) int16 {
	if a.Response == nil {
		return 0
	}
	return int16(a.Response.Status)
}

func responseBytes(a *hook.Attempt) []byte {
	if a.Response == nil || len(a.Response.Body.Bytes) == 0 {
		return nil
	}
	return a.Response.Body.Bytes
}

// nilIfEmpty keeps empty bodies out of the row.
func nilIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
