package store

import "context"

// ClaimSQL is the statement that takes due deliveries on Postgres.
const ClaimSQL = claimSQL

// OnHot runs a query on a connection of the pipeline's pool: that which was used last.
func (s *Store) OnHot(ctx context.Context, query string) error {
	_, err := s.hot.Exec(ctx, query)
	return err
}
