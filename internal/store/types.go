package store

import (
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/google/uuid"

	"sallyport/internal/hook"
)

// rowID is an id as it lies in a row: a uuid on Postgres, 16 bytes on SQLite.
type rowID hook.ID

// Value gives both drivers the 16 bytes.
func (id rowID) Value() (driver.Value, error) { return id[:], nil }

// Scan reads 16 bytes or text; NULL is no id.
func (id *rowID) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*id = rowID{}
		return nil
	case []byte:
		if len(v) == len(id) {
			copy(id[:], v)
			return nil
		}
		u, err := uuid.ParseBytes(v)
		*id = rowID(u)
		return err
	case string:
		u, err := uuid.Parse(v)
		*id = rowID(u)
		return err
	}
	return fmt.Errorf("an id cannot be read from %T", v)
}

func rowIDs(ids []hook.ID) []rowID {
	out := make([]rowID, len(ids))
	for i, id := range ids {
		out[i] = rowID(id)
	}
	return out
}

// micros is how times lie in rows on both engines: microseconds since 1970 UTC, cut
// before use because Go's nanoseconds would not come back.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

func microsPtr(t *time.Time) *int64 {
	if t == nil {
		return nil
	}
	us := micros(*t)
	return &us
}

func fromMicrosPtr(us *int64) *time.Time {
	if us == nil {
		return nil
	}
	t := fromMicros(*us)
	return &t
}
