package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"

	"sallyport/internal/config"
)

// auditSQL finds the numbers of the calls that are stored, request and event, and of what
// was published for them. Both engines read it.
const auditSQL = `
SELECT e.type, substr(e.entity, $1, $2) FROM events e
JOIN requests r ON r.workspace_id = e.workspace_id AND r.id = e.request_id
WHERE e.type IN ($3, $4, $5)`

// audit holds what the doors answered against the database of the stopped server: which
// calls answered with a 2xx are not stored, and how many of all were stored or published
// more than once.
func (b *inboundBench) audit(ctx context.Context, dir string, cfg config.Config) (lost, twice int64, err error) {
	driver, source := "pgx", string(cfg.DatabaseURL) // package store brings both drivers
	if !cfg.Postgres() {
		driver, source = "sqlite", (&url.URL{Scheme: "file", Path: filepath.Join(dir, "data", "sallyport.db")}).String()
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, auditSQL, len(callHead)+1, callDigits, "incoming."+doorPlain, "incoming."+doorRouted, benchType)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	stored, published := make([]byte, b.next), make([]byte, b.next)
	for rows.Next() {
		var kind string
		var number []byte
		if err := rows.Scan(&kind, &number); err != nil {
			return 0, 0, err
		}
		n, err := strconv.ParseInt(string(number), 10, 64)
		if err != nil || n < 0 || n >= b.next {
			return 0, 0, fmt.Errorf("an event has the number %q, which no call had", number)
		}
		where := stored
		if kind == benchType {
			where = published
		}
		if where[n] > 0 {
			twice++
		}
		where[n] = 1
	}
	if err := rows.Err(); err != nil {
		return 0, 0, err
	}
	for _, l := range b.doors {
		for i, answered := range l.answered[:l.begunCount()] {
			if answered && stored[l.first+int64(i)] == 0 {
				lost++
			}
		}
	}
	return lost, twice, nil
}
