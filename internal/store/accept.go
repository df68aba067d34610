package store

import (
	"context"

	"sallyport/internal/hook"
)

// Accept stores a batch of events with their deliveries in one transaction, unless
// the node was declared dead (Fenced) or a workspace's configuration is newer than
// what the batch was matched against (Stale). Events whose client id is taken are left
// out and reported in First. An error that wraps hook.ErrUnknownOutcome asks for the
// same batch again with Rerun set; a data error (see IsDataError) for its events one
// by one; with any other error nothing was stored.
func (s *Store) Accept(ctx context.Context, b *hook.AcceptBatch) (hook.AcceptResult, error) {
	accept := s.acceptSQLite
	if s.engine == Postgres {
		accept = s.acceptPostgres
	}
	res, err := accept(ctx, b)
	if err == nil && len(b.Events) > 0 {
		s.signalLogged()
	}
	return res, translate(err)
}

// IsDataError reports that the database refused the rows themselves, so that without
// the offending one the others of the batch may pass.
func IsDataError(err error) bool { return dataError(err) }
