package store

import "database/sql"

// RawReader is a connection of the tests to everything that is stored.
func RawReader(s *Store) *sql.DB {
	db, err := s.r.DB()
	if err != nil {
		panic(err)
	}
	return db
}
