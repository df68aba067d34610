package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// checkSecrets looks for every secret of the suite in all that it produced: answers, the log and
// the database. Called when the server has stopped.
func checkSecrets(t *testing.T, s *server) {
	given, made := s.planted.all()
	if len(given) < 10 || len(made) < 10 {
		t.Errorf("the suite planted %d secrets and was shown %d: too few to prove anything", len(given), len(made))
	}
	answers := s.validator.Answers()
	everything := make([]string, len(answers))
	for i, a := range answers {
		everything[i] = fmt.Sprint(a.Header) + "\n" + string(a.Body)
	}
	for _, secret := range given {
		for i, a := range answers {
			if strings.Contains(everything[i], secret) {
				t.Errorf("%s %s answered the secret %q", a.Method, a.Path, secret)
			}
		}
	}
	for secret, times := range made {
		shown := 0
		for i, a := range answers {
			if strings.Contains(everything[i], secret) && a.Header.Get("Idempotent-Replayed") != "true" {
				shown++
			}
		}
		if shown != 1 || times != 1 {
			t.Errorf("the generated secret %q is in %d answers, want 1", secret, shown)
		}
	}
	stored := rowsOf(t, s)
	checkLog(t, s)
	for _, secret := range all(given, made) {
		for _, form := range forms(secret) {
			if bytes.Contains(stored, []byte(form)) {
				t.Errorf("the database has the secret %q in clear", secret)
			}
		}
	}
}

// checkLog looks for the secrets in what the program printed.
func checkLog(t *testing.T, s *server) {
	log := s.said()
	for _, secret := range all(s.planted.all()) {
		for _, form := range forms(secret) {
			if strings.Contains(log, form) {
				t.Errorf("the log has the secret %q", secret)
			}
		}
	}
}

func all(given []string, made map[string]int) []string {
	out := append([]string(nil), given...)
	for secret := range made {
		out = append(out, secret)
	}
	return out
}

// forms are the secret and what it would be as bytes in Postgres's text form or in base64.
func forms(secret string) []string {
	out := []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))}
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		out = append(out, encoded)
		if key, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			out = append(out, string(key), hex.EncodeToString(key))
		}
	}
	// An end of them serves as well: the search for more than 63 bytes is slow by a hundred times.
	const most = 40
	for i, form := range out {
		out[i] = form[max(0, len(form)-most):]
	}
	return out
}

// rowsOf is all that the database holds: the files of SQLite as they are, the rows of Postgres
// as text.
func rowsOf(t *testing.T, s *server) []byte {
	t.Helper()
	var all bytes.Buffer
	if s.database == "" {
		files, err := filepath.Glob(filepath.Join(s.dir, "data", "sallyport.db*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no database files: %v", err)
		}
		for _, f := range files {
			content, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(content)
		}
		return all.Bytes()
	}
	db, err := pgx.Connect(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context()) // nothing was written
	rows, err := db.Query(t.Context(), "SELECT format('SELECT x::text FROM %I x', table_name) FROM information_schema.tables WHERE table_schema = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	queries, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		rows, err := db.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			all.WriteString(line)
			all.WriteByte('\n')
		}
	}
	if !bytes.Contains(all.Bytes(), []byte("succeeded")) && all.Len() < 10_000 {
		t.Errorf("only %d bytes of rows were read", all.Len())
	}
	return all.Bytes()
}
