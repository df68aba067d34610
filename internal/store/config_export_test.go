package store

import (
	"database/sql"
	"time"
)

// RawReader is a connection of the tests to everything that is stored.
func RawReader(s *Store) *sql.DB {
	db, err := s.r.DB()
	if err != nil {
		panic(err)
	}
	return db
}

// Patience sets how long a search and a write may take: on a machine that does much else both
// take longer than anybody who asks would wait.
func (s *Store) Patience(d time.Duration) { s.searchTimeout, s.writeTimeout = d, d }
