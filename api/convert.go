package api

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/oapi-codegen/nullable"

	"sallyport/api/wire"
	"sallyport/internal/hook"
)

// ptr is for optional members.
func ptr[T any](v T) *T { return &v }

// orNull is v, or null for the zero value.
func orNull[T comparable](v T) nullable.Nullable[T] {
	var zero T
	if v == zero {
		return nullable.NewNullNullable[T]()
	}
	return nullable.NewNullableWithValue(v)
}

// some is *v, or null for nil.
func some[T any](v *T) nullable.Nullable[T] {
	if v == nil {
		return nullable.NewNullNullable[T]()
	}
	return nullable.NewNullableWithValue(*v)
}

// timeOrNull is t, or null for nil.
func timeOrNull(t *time.Time) nullable.Nullable[wire.Time] {
	if t == nil || t.IsZero() {
		return nullable.NewNullNullable[wire.Time]()
	}
	return nullable.NewNullableWithValue(wire.At(*t))
}

// durationOrNull is d in the contract's form, or null for none.
func durationOrNull(d time.Duration) nullable.Nullable[string] {
	if d == 0 {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(hook.FormatDuration(d))
}

// ms is a measured duration in milliseconds, to the microsecond.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// msOrNull is null for what was not measured.
func msOrNull(d time.Duration) nullable.Nullable[float64] {
	if d == 0 {
		return nullable.NewNullNullable[float64]()
	}
	return nullable.NewNullableWithValue(ms(d))
}

// rawOrNull is JSON, or null for none.
func rawOrNull(b []byte) json.RawMessage {
	if len(b) == 0 {
		return json.RawMessage("null")
	}
	return b
}

// stringMap is never null.
func stringMap(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// entityIDJSON is the literal of an entity's id; nil for none.
func entityIDJSON(e hook.EntityID) *json.RawMessage {
	if e.IsZero() {
		return nil
	}
	if e.Number {
		return ptr(json.RawMessage(e.Text))
	}
	text, err := json.Marshal(e.Text)
	if err != nil { // a string always can
		return nil
	}
	return ptr(json.RawMessage(text))
}

// etag is the strong validator of a version (RFC 9110 section 8.8).
func etag(version int64) *string { return ptr(`"` + strconv.FormatInt(version, 10) + `"`) }

// notModified reports whether If-None-Match names the version: then 304 is the answer.
// On reading the comparison is weak (RFC 9110 section 13.1.2).
func notModified(header *string, version int64) bool {
	if header == nil {
		return false
	}
	for tag := range strings.SplitSeq(*header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == *etag(version) {
			return true
		}
	}
	return false
}

// guardOf takes the preconditions of a write.
func guardOf(ifMatch, ifNoneMatch *string) hook.Guard {
	var g hook.Guard
	if ifMatch != nil {
		g.IfMatch = *ifMatch
	}
	if ifNoneMatch != nil {
		g.IfNoneMatch = *ifNoneMatch
	}
	return g
}

// changed lists names of fields for Sallyport-Changed; nil when there are none.
func changed(names []string) *string {
	if len(names) == 0 {
		return nil
	}
	return ptr(strings.Join(names, ","))
}

// listFilter takes what all lists of configuration have.
func (cl *call) listFilter(metadata *[]string) hook.ListFilter {
	f := hook.ListFilter{Since: cl.since, Until: cl.until}
	if metadata != nil {
		f.Metadata = make(map[string]string, len(*metadata))
		for _, pair := range *metadata {
			k, v, _ := strings.Cut(pair, ":")
			f.Metadata[k] = v
		}
	}
	return f
}

// nextCursor points behind the last row if there are more.
func (cl *call) nextCursor(more bool, last hook.ID) nullable.Nullable[string] {
	if !more {
		return nullable.NewNullNullable[string]()
	}
	return nullable.NewNullableWithValue(encodeCursor(last[:], cl.asked))
}

// page converts rows and finds the last one's id.
func page[Row, Out any](rows []Row, id func(Row) hook.ID, convert func(Row) Out) (out []Out, last hook.ID) {
	out = make([]Out, 0, len(rows))
	for _, r := range rows {
		out = append(out, convert(r))
		last = id(r)
	}
	return out, last
}
