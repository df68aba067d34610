package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

const insertRequests = `INSERT INTO requests (workspace_id, id, incoming_id, code, verdict, reason, status, duration,
	events, deliveries, duplicate_of, replay_of, detail, body, body_in_event, sealed) VALUES `

// requestWidth is how many columns insertRequests names.
const requestWidth = 16

// requestValues are a request's values for insertRequests. first is the first of the
// events stored with it, nil if there are none.
func (s *Store) requestValues(r *hook.Request, first *hook.Event) ([]any, error) {
	detail, sealed, err := s.requestColumns(r)
	if err != nil {
		return nil, err
	}
	body, inEvent := requestBody(r, first)
	return []any{ // the first no []byte: GORM would take it for a list
		rowID(r.Workspace), r.ID[:], idOrNil(r.Incoming), requestCode(r.Code), int64(verdictCodes.of(r.Verdict)), textOrNil(r.Reason),
		int64(r.Status), r.Duration.Microseconds(), int64(r.Events), int64(r.Deliveries), idOrNil(r.DuplicateOf), idOrNil(r.ReplayOf),
		detail, blob(body), inEvent, blob(sealed),
	}, nil
}

// InsertRequests stores requests that become no events: refused ones, handshakes and
// repeats. One that is there already stays as it is.
func (s *Store) InsertRequests(ctx context.Context, rs []*hook.Request) error {
	// In one order everywhere, so that two that store the same do not deadlock.
	rs = slices.Clone(rs)
	slices.SortFunc(rs, func(a, b *hook.Request) int {
		return cmp.Or(bytes.Compare(a.Workspace[:], b.Workspace[:]), compareIDs(a.ID, b.ID))
	})
	args := make([]any, 0, len(rs)*requestWidth)
	for _, r := range rs {
		values, err := s.requestValues(r, nil)
		if err != nil {
			return err
		}
		args = append(args, values...)
	}
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", requestWidth), ",") + ")"
	return s.write(ctx, func(tx *gorm.DB) error {
		for rest := args; len(rest) > 0; {
			n := 64 // in powers of two, so that few texts are prepared
			for n*requestWidth > len(rest) {
				n /= 2
			}
			query := insertRequests + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + " ON CONFLICT DO NOTHING"
			if err := tx.Exec(query, rest[:n*requestWidth]...).Error; err != nil {
				return err
			}
			rest = rest[n*requestWidth:]
		}
		return nil
	})
}
