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
// repeats. One that is there already stays as it is, and one of a workspace that was
// deleted meanwhile is dropped: nothing would ever remove it.
func (s *Store) InsertRequests(ctx context.Context, rs []*hook.Request) error {
	// In one order everywhere, so that two that store the same do not deadlock.
	rs = slices.Clone(rs)
	slices.SortFunc(rs, func(a, b *hook.Request) int {
		return cmp.Or(bytes.Compare(a.Workspace[:], b.Workspace[:]), compareIDs(a.ID, b.ID))
	})
	values := make([][]any, len(rs))
	var scopes []hook.ID
	for i, r := range rs {
		var err error
		if values[i], err = s.requestValues(r, nil); err != nil {
			return err
		}
		scopes = append(scopes, r.Workspace)
	}
	if len(rs) == 0 {
		return nil
	}
	in := s.among("id", distinct(scopes))
	one := "(" + strings.TrimSuffix(strings.Repeat("?,", requestWidth), ",") + ")"
	return s.write(ctx, func(tx *gorm.DB) error {
		there, err := list(tx, scanID, "SELECT id FROM workspaces WHERE deleted_at IS NULL AND "+in.sql, in.args...)
		if err != nil {
			return err
		}
		var rest []any
		for i, r := range rs {
			if slices.Contains(there, r.Workspace) {
				rest = append(rest, values[i]...)
			}
		}
		for len(rest) > 0 {
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
