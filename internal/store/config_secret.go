package store

import (
	"slices"
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

func (s *Store) openSecret(r *secretRow) (string, error) {
	b, err := s.unseal(r.Ciphertext, hook.ID(r.WorkspaceID), "secrets", hook.ID(r.ID).String(), r.Field)
	return string(b), err
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
