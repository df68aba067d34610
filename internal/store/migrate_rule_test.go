package store

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// firstBound is the number of the first migration that must only expand: before it nothing
// was released.
const firstBound = 4

func TestMigrationsOnlyExpand(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*/*.sql")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		number, err := strconv.Atoi(filepath.Base(path)[:4])
		if err != nil {
			t.Errorf("%s has no number of four digits", path)
		}
		if number < firstBound {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "contract:") {
			if contractOf(text) == "" {
				t.Errorf("%s: write the mark as in migrations/README.md", path)
			}
			continue
		}
		for _, found := range contracting(string(text)) {
			t.Errorf("%s does not only expand: %s\nsee migrations/README.md", path, found)
		}
	}
}

// breaks are the statements by which a migration breaks the previous binary.
var breaks = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bDROP\b`),
	regexp.MustCompile(`(?i)\bRENAME\b`),
	regexp.MustCompile(`(?i)\bTRUNCATE\b`),
	regexp.MustCompile(`(?i)^\s*DELETE\b`),
	regexp.MustCompile(`(?i)^\s*ALTER\s+(TYPE|DOMAIN|FUNCTION)\b`),
	regexp.MustCompile(`(?i)\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b`),
	regexp.MustCompile(`(?i)\bSET\s+NOT\s+NULL\b`),
	regexp.MustCompile(`(?i)\bADD\s+(CONSTRAINT|PRIMARY|UNIQUE|CHECK|FOREIGN|EXCLUDE)\b`),
	regexp.MustCompile(`(?i)^\s*CREATE\s+OR\s+REPLACE\b`),
}

var (
	comments   = regexp.MustCompile(`--[^\n]*`)
	dollars    = regexp.MustCompile(`(?s)\$\w*\$.*?\$\w*\$`)
	literals   = regexp.MustCompile(`'[^']*'`)
	made       = regexp.MustCompile(`(?i)^\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)`)
	unique     = regexp.MustCompile(`(?i)^\s*CREATE\s+UNIQUE\s+INDEX\s+.*?\bON\s+(\w+)`)
	altered    = regexp.MustCompile(`(?i)^\s*ALTER\s+TABLE\s+(?:ONLY\s+)?(\w+)`)
	demanding  = regexp.MustCompile(`(?i)\bADD\s+(?:COLUMN\s+)?[^,]*\bNOT\s+NULL\b[^,]*`)
	hasDefault = regexp.MustCompile(`(?i)\b(DEFAULT|GENERATED)\b`)
	indexed    = regexp.MustCompile(`(?i)\bCREATE\s+INDEX\s+CONCURRENTLY\s+(\w+)`)
	unindexed  = regexp.MustCompile(`(?i)^DROP INDEX IF EXISTS (\w+)$`)
)

// contracting lists the statements of a migration's upward half that break the previous
// binary. Tables and indexes that the migration itself makes are nobody's yet.
func contracting(migration string) (found []string) {
	up, _, _ := strings.Cut(migration, "-- +goose Down")
	up = literals.ReplaceAllString(dollars.ReplaceAllString(comments.ReplaceAllString(up, ""), "''"), "''")
	own := map[string]bool{}
	for _, m := range indexed.FindAllStringSubmatch(up, -1) {
		own[m[1]] = true
	}
	for statement := range strings.SplitSeq(up, ";") {
		statement = strings.Join(strings.Fields(statement), " ")
		if m := made.FindStringSubmatch(statement); m != nil {
			own[m[1]] = true
			continue
		}
		if m := altered.FindStringSubmatch(statement); m != nil && own[m[1]] {
			continue
		}
		// What an interruption left of an index that the migration makes.
		if m := unindexed.FindStringSubmatch(statement); m != nil && own[m[1]] {
			continue
		}
		bad := false
		for _, b := range breaks {
			bad = bad || b.MatchString(statement)
		}
		if m := unique.FindStringSubmatch(statement); m != nil && !own[m[1]] {
			bad = true
		}
		for _, column := range demanding.FindAllString(statement, -1) {
			bad = bad || !hasDefault.MatchString(column)
		}
		if bad {
			found = append(found, statement)
		}
	}
	return found
}

func TestTheRuleFindsWhatBreaks(t *testing.T) {
	t.Parallel()
	for statement, breaks := range map[string]bool{
		"CREATE TABLE a (id uuid PRIMARY KEY, b text NOT NULL UNIQUE)":               false,
		"CREATE TABLE a (id uuid); CREATE UNIQUE INDEX x ON a (id)":                  false,
		"CREATE TABLE a (id uuid); ALTER TABLE a ADD CONSTRAINT c CHECK (id > 0)":    false,
		"CREATE INDEX x ON events (id)":                                              false,
		"DROP INDEX IF EXISTS x; CREATE INDEX CONCURRENTLY x ON events (id)":         false,
		"DROP INDEX IF EXISTS y; CREATE INDEX CONCURRENTLY x ON events (id)":         true,
		"ALTER TABLE events ADD COLUMN a text":                                       false,
		"ALTER TABLE events ADD COLUMN a text NOT NULL DEFAULT ''":                   false,
		"CREATE TYPE pipeline_finish_4 AS (id uuid)":                                 false,
		"-- drop nothing\nCREATE INDEX x ON events (id)":                             false,
		"INSERT INTO settings VALUES ('drop table', 'x')":                            false,
		"CREATE INDEX x ON events (id);\n-- +goose Down\nDROP INDEX x":               false,
		"CREATE UNIQUE INDEX x ON events (id)":                                       true,
		"ALTER TABLE events ADD COLUMN a text NOT NULL":                              true,
		"ALTER TABLE events ADD COLUMN a text DEFAULT '', ADD COLUMN b int NOT NULL": true,
		"ALTER TABLE events DROP COLUMN a":                                           true,
		"alter table events rename column a to b":                                    true,
		"ALTER TABLE events RENAME TO happenings":                                    true,
		"ALTER TABLE events ALTER COLUMN a TYPE bigint":                              true,
		"ALTER TABLE events ALTER a SET DATA TYPE bigint":                            true,
		"ALTER TABLE events ALTER COLUMN a SET NOT NULL":                             true,
		"ALTER TABLE events ALTER COLUMN a DROP DEFAULT":                             true,
		"ALTER TABLE events ADD CONSTRAINT c CHECK (a > 0)":                          true,
		"ALTER TYPE pipeline_finish ADD ATTRIBUTE a text":                            true,
		"DROP TABLE events":                          true,
		"DROP INDEX x":                               true,
		"DROP TYPE pipeline_finish":                  true,
		"TRUNCATE due":                               true,
		"DELETE FROM due":                            true,
		"CREATE TABLE a (id uuid); DROP TABLE a_new": true,
	} {
		if found := contracting(statement); (len(found) > 0) != breaks {
			t.Errorf("%q: found %q", statement, found)
		}
	}
}
