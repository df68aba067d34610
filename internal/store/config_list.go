package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

// listed narrows q to one page of a configuration list, in the order of creation.
// One row more than the page is asked for, so that more can tell whether it ends here.
func (s *Store) listed(q *gorm.DB, f hook.ListFilter, p hook.Page) *gorm.DB {
	op, order := "id < ?", "id DESC"
	if p.Asc {
		op, order = "id > ?", "id"
	}
	if p.After != hook.NoID {
		q = q.Where(op, rowID(p.After))
	}
	return s.filtered(q, f).Order(order).Limit(p.Limit + 1)
}

// filtered narrows q to what a filter selects.
func (s *Store) filtered(q *gorm.DB, f hook.ListFilter) *gorm.DB {
	if !f.Since.IsZero() {
		q = q.Where("created_at >= ?", micros(f.Since))
	}
	if !f.Until.IsZero() {
		q = q.Where("created_at < ?", micros(f.Until))
	}
	for _, k := range slices.Sorted(maps.Keys(f.Metadata)) {
		if s.engine == Postgres {
			q = q.Where("metadata ->> ? = ?", k, f.Metadata[k])
		} else {
			q = q.Where("EXISTS (SELECT 1 FROM json_each(metadata) m WHERE m.key = ? AND m.value = ?)", k, f.Metadata[k])
		}
	}
	return q
}

// paged cuts the extra row off and reports whether there was one.
func paged[T any](rows []T, p hook.Page) ([]T, bool) {
	if len(rows) > p.Limit {
		return rows[:p.Limit], true
	}
	return rows, false
}

// byRef narrows q to the row with this id, or else this code without regard to case.
func byRef(q *gorm.DB, ref string) *gorm.DB {
	if hook.IsID(ref) {
		id, err := hook.ParseID(ref)
		if err == nil {
			return q.Where("id = ?", rowID(id))
		}
	}
	if !hook.IsCode(ref) {
		return q.Where("1 = 0") // Postgres would not even look for some of them
	}
	return q.Where("code_key = ?", codeKey(ref))
}

// codeKey is what makes codes unique without regard to case.
func codeKey(code string) string { return strings.ToLower(code) }

func metadataText(m map[string]string) string {
	if len(m) == 0 {
		return "{}"
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // a map of strings always encodes
	}
	return string(b)
}

func metadataOf(text string) (map[string]string, error) {
	m := map[string]string{}
	err := json.Unmarshal([]byte(text), &m)
	return m, err
}
