package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	secrets := newFinder(all(given, made))
	shown := make(map[string]int)
	isGiven := make(map[string]bool, len(given))
	for _, secret := range given {
		isGiven[secret] = true
	}
	for _, a := range s.validator.Answers() {
		for _, secret := range secrets.in([]byte(fmt.Sprint(a.Header) + "\n" + string(a.Body))) {
			switch {
			case isGiven[secret]:
				t.Errorf("%s %s answered the secret %q", a.Method, a.Path, secret)
			case a.Header.Get("Idempotent-Replayed") != "true":
				shown[secret]++
			}
		}
	}
	for secret, times := range made {
		if shown[secret] != 1 || times != 1 {
			t.Errorf("the generated secret %q is in %d answers, want 1", secret, shown[secret])
		}
	}
	stored := rowsOf(t, s)
	checkLog(t, s)
	of, every := formsOf(all(given, made))
	for _, form := range newFinder(every).in(stored) {
		t.Errorf("the database has the secret %q in clear", of[form])
	}
}

// checkLog looks for the secrets in what the program printed.
func checkLog(t *testing.T, s *server) {
	of, every := formsOf(all(s.planted.all()))
	for _, form := range newFinder(every).in([]byte(s.said())) {
		t.Errorf("the log has the secret %q", of[form])
	}
}

// formsOf lists every form of the secrets, and whose they are.
func formsOf(secrets []string) (of map[string]string, every []string) {
	of = make(map[string]string)
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			of[form] = secret
			every = append(every, form)
		}
	}
	return of, every
}

// finder looks for many texts at once: hundreds of secrets in hundreds of megabytes, one after
// the other, would take longer than the rest of the suite.
type finder struct {
	short []string            // than an anchor
	ends  map[uint64][]string // by their last eight bytes
	maybe [1 << 16]bool       // whether there is any, by a hash of those
}

func newFinder(texts []string) *finder {
	f := &finder{ends: map[uint64][]string{}}
	for _, text := range texts {
		if len(text) < 8 {
			f.short = append(f.short, text)
			continue
		}
		end := binary.LittleEndian.Uint64([]byte(text[len(text)-8:]))
		f.ends[end] = append(f.ends[end], text)
		f.maybe[spread(end)] = true
	}
	return f
}

func spread(v uint64) uint16 { return uint16(v * 0x9e3779b97f4a7c15 >> 48) }

// in lists the texts that stand in b, each once.
//
//go:norace
func (f *finder) in(b []byte) (found []string) {
	for _, text := range f.short {
		if bytes.Contains(b, []byte(text)) {
			found = append(found, text)
		}
	}
	for i := 8; i <= len(b); i++ {
		end := binary.LittleEndian.Uint64(b[i-8 : i])
		if !f.maybe[spread(end)] {
			continue
		}
		for _, text := range f.ends[end] {
			if bytes.HasSuffix(b[:i], []byte(text)) && !slices.Contains(found, text) {
				found = append(found, text)
			}
		}
	}
	return found
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

// The finder finds what is there, at either end and within, and nothing else.
func TestFinder(t *testing.T) {
	t.Parallel()
	f := newFinder([]string{"whsec_abcdefgh", "short", "0123456789", "not-there-at-all"})
	got := f.in([]byte("0123456789 x whsec_abcdefgh 0123456789 shor"))
	slices.Sort(got)
	if want := []string{"0123456789", "whsec_abcdefgh"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := f.in([]byte("short")); !slices.Equal(got, []string{"short"}) {
		t.Errorf("found %q", got)
	}
}
