package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

type secretRow struct {
	ID          rowID `gorm:"primaryKey"`
	WorkspaceID rowID
	OwnerID     rowID
	Field       string
	Name        string
	Ciphertext  []byte
	Hint        string
	Short       bool
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	ExpiresAt   *int64
}

func (secretRow) TableName() string { return "secrets" }

// Fields of resources whose values lie in the table secrets.
const (
	fieldSecret   = "secret"             // signs; several while a rotation overlaps
	fieldPassword = "basicAuth.password" //nolint:gosec // the name of a field
	fieldHeader   = "headers"            // name is the header's, lower case
	fieldHash     = "hash"               // of an incoming webhook
	fieldNamed    = "secrets"            // name is the secret's
)

// secretValue is a secret of a resource in clear.
type secretValue struct {
	id        hook.ID // NoID: whatever id the store has or gives
	field     string
	name      string
	value     string
	createdAt time.Time
	expiresAt *time.Time
}

// liveSecrets returns the rows of live secrets of owners, oldest first.
func liveSecrets(q *gorm.DB, now time.Time) ([]secretRow, error) {
	var rows []secretRow
	err := q.Where("expires_at IS NULL OR expires_at > ?", micros(now)).Order("id").Find(&rows).Error
	return rows, err
}

// secretive is the row of a resource that has secrets. It becomes the noun together with
// their rows, of which open tells the values; nil leaves them out.
type secretive[N any] interface {
	place() (workspace, id rowID)
	noun(secrets []secretRow, open opener) (*N, error)
}

// opener tells the value of a secret.
type opener func(*secretRow) (string, error)

// withSecrets turns rows of one workspace into nouns.
func withSecrets[R secretive[N], N any](s *Store, tx *gorm.DB, rows []R, open opener) ([]*N, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	workspace, _ := rows[0].place()
	q := tx.Where("workspace_id = ?", workspace)
	if len(rows) <= 500 { // else it is cheaper to read the workspace's whole table than to name them all
		ids := make([]rowID, len(rows))
		for i, r := range rows {
			_, ids[i] = r.place()
		}
		q = q.Where("owner_id IN ?", ids)
	}
	secrets, err := liveSecrets(q, s.now())
	if err != nil {
		return nil, err
	}
	byOwner := map[rowID][]secretRow{}
	for _, x := range secrets {
		byOwner[x.OwnerID] = append(byOwner[x.OwnerID], x)
	}
	out := make([]*N, len(rows))
	for i, r := range rows {
		_, id := r.place()
		if out[i], err = r.noun(byOwner[id], open); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// foundWithSecrets returns the live resource with this id or code, nil if there is none.
func foundWithSecrets[R secretive[N], N any](s *Store, tx *gorm.DB, workspace hook.ID, ref string, open opener) (*N, error) {
	var rows []R
	q := byRef(tx.Where("workspace_id = ? AND deleted_at IS NULL", rowID(workspace)), ref)
	if err := q.Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return nil, err
	}
	list, err := withSecrets(s, tx, rows, open)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// loaded returns the resource with this id with its secrets in clear, also a deleted one,
// nil if there is none.
func loaded[R secretive[N], N any](ctx context.Context, s *Store, missing error, workspace, id hook.ID) (*N, error) {
	return one(ctx, s, missing, func(tx *gorm.DB) (*N, error) {
		var rows []R
		err := tx.Where("workspace_id = ? AND id = ?", rowID(workspace), rowID(id)).Find(&rows).Error
		if err != nil || len(rows) == 0 {
			return nil, err
		}
		list, err := withSecrets(s, tx, rows, s.openSecret)
		if err != nil {
			return nil, err
		}
		return list[0], nil
	})
}

// allWithSecrets returns what a workspace has of a kind, deleted ones left out, in the
// order of creation.
func allWithSecrets[R secretive[N], N any](s *Store, tx *gorm.DB, workspace hook.ID, open opener) ([]*N, error) {
	var rows []R
	if err := tx.Where("workspace_id = ? AND deleted_at IS NULL", rowID(workspace)).Order("id").Find(&rows).Error; err != nil {
		return nil, err
	}
	return withSecrets(s, tx, rows, open)
}

// listingWithSecrets lists resources, and reports whether more follow.
func listingWithSecrets[R secretive[N], N any](ctx context.Context, s *Store, open opener, workspace hook.ID, f hook.ListFilter, p hook.Page) (out []*N, more bool, err error) {
	err = s.read(ctx, func(tx *gorm.DB) error {
		var rows []R
		q := tx.Where("workspace_id = ? AND deleted_at IS NULL", rowID(workspace))
		if err := s.listed(q, f, p).Find(&rows).Error; err != nil {
			return err
		}
		var err error
		rows, more = paged(rows, p)
		out, err = withSecrets(s, tx, rows, open)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return out, more, nil
}

// save writes a resource's row and its secrets; of a tombstone none are left.
func (s *Store) save(tx *gorm.DB, row secretOwner, created bool, secrets []secretValue, now time.Time) error {
	var err error
	if created {
		err = tx.Create(row).Error
	} else {
		err = tx.Save(row).Error
	}
	if err != nil {
		return err
	}
	if row.deleted() {
		secrets = nil
	}
	workspace, id := row.place()
	return s.saveSecrets(tx, hook.ID(workspace), hook.ID(id), secrets, now)
}

// secretOwner is a row that has secrets, whatever its noun.
type secretOwner interface {
	place() (workspace, id rowID)
	deleted() bool
}

func namedValues(secrets []hook.NamedSecret) []secretValue {
	out := make([]secretValue, len(secrets))
	for i, x := range secrets {
		out[i] = secretValue{field: fieldNamed, name: x.Name, value: string(x.Value)}
	}
	return out
}

// hinted sorts named secrets, so that they always come in one order, and notes their hints.
func hinted(secrets []hook.NamedSecret) {
	slices.SortFunc(secrets, func(a, b hook.NamedSecret) int { return strings.Compare(a.Name, b.Name) })
	for i := range secrets {
		secrets[i].Hint = hook.Hint(string(secrets[i].Value))
	}
}

// named reads the named secrets among rows.
func named(secrets []secretRow, open opener) ([]hook.NamedSecret, error) {
	var out []hook.NamedSecret
	for i := range secrets {
		r := &secrets[i]
		if r.Field != fieldNamed {
			continue
		}
		x := hook.NamedSecret{Name: r.Name, Hint: r.Hint}
		if open != nil {
			value, err := open(r)
			if err != nil {
				return nil, err
			}
			x.Value = hook.Sensitive(value)
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b hook.NamedSecret) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (s *Store) openSecret(r *secretRow) (string, error) {
	b, err := s.unseal(r.Ciphertext, hook.ID(r.WorkspaceID), "secrets", hook.ID(r.ID).String(), r.Field)
	return string(b), err
}

// openHash tells the hash of an incoming webhook and no other value.
func (s *Store) openHash(r *secretRow) (string, error) {
	if r.Field != fieldHash {
		return "", nil
	}
	return s.openSecret(r)
}

// saveSecrets makes the secrets of an owner those that are wanted. A value that is
// there already keeps its row; what is not wanted is deleted, not marked.
func (s *Store) saveSecrets(tx *gorm.DB, workspace, ownerID hook.ID, wanted []secretValue, now time.Time) error {
	var have []secretRow
	err := tx.Where("workspace_id = ? AND owner_id = ?", rowID(workspace), rowID(ownerID)).Find(&have).Error
	if err != nil {
		return err
	}
	kept := map[rowID]bool{}
	for _, w := range wanted {
		same := func(r secretRow) bool {
			if w.id != hook.NoID {
				return hook.ID(r.ID) == w.id
			}
			return r.Field == w.field && r.Name == w.name
		}
		i := slices.IndexFunc(have, same)
		if i >= 0 {
			old, err := s.openSecret(&have[i])
			if err != nil {
				return err
			}
			if old == w.value {
				kept[have[i].ID] = true
				if us := microsPtr(w.expiresAt); !equalPtr(us, have[i].ExpiresAt) {
					if err := tx.Model(&secretRow{}).Where("id = ?", have[i].ID).Update("expires_at", us).Error; err != nil {
						return err
					}
				}
				continue
			}
		}
		id := w.id
		if id == hook.NoID || i >= 0 {
			id = s.ids.New()
		}
		sealed, err := s.seal([]byte(w.value), workspace, "secrets", id.String(), w.field)
		if err != nil {
			return err
		}
		created := w.createdAt
		if created.IsZero() {
			created = now
		}
		err = tx.Create(&secretRow{
			ID: rowID(id), WorkspaceID: rowID(workspace), OwnerID: rowID(ownerID), Field: w.field, Name: w.name,
			Ciphertext: sealed, Hint: hook.Hint(w.value), Short: hook.IsShort(w.value), CreatedAt: micros(created), ExpiresAt: microsPtr(w.expiresAt),
		}).Error
		if err != nil {
			return err
		}
	}
	for _, r := range have {
		if !kept[r.ID] {
			if err := tx.Where("id = ?", r.ID).Delete(&secretRow{}).Error; err != nil {
				return err
			}
		}
	}
	return nil
}

func equalPtr[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
