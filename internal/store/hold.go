package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sallyport/internal/hook"
)

// holdSetting is where the hold of the installation is kept: a value that stays, so that
// it is known since when it is so.
const holdSetting = "dispatch.hold"

type storedHold struct {
	Hold  bool      `json:"hold"`
	Since time.Time `json:"since"`
}

// Hold returns whether the installation sends. It is asked by every node twice a second
// and does not wait behind the API's reads.
func (s *Store) Hold(ctx context.Context) (hook.Hold, error) {
	db := s.r
	if s.engine == Postgres {
		db = s.hotGorm
	}
	h, err := holdOf(db.WithContext(ctx))
	return h, translate(err)
}

// SetHold stores whether the installation sends, and returns what is so then: holding what
// is on hold changes nothing.
func (s *Store) SetHold(ctx context.Context, on bool) (hook.Hold, error) {
	var h hook.Hold
	err := s.write(ctx, func(tx *gorm.DB) (err error) {
		if h, err = holdOf(tx); err != nil || h.On == on {
			return err
		}
		h = hook.Hold{On: on, Since: s.now()}
		value, err := json.Marshal(storedHold{h.On, h.Since})
		if err != nil {
			return err
		}
		action := hook.AuditRelease
		if on {
			action = hook.AuditHold
		}
		if err := s.audit(tx, &hook.AuditEntry{Action: action, Kind: hook.AuditInstallation}); err != nil {
			return err
		}
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&settingRow{holdSetting, value}).Error
	})
	return h, err
}

func holdOf(tx *gorm.DB) (hook.Hold, error) {
	var rows []settingRow
	// One statement is a snapshot of its own: no transaction around it.
	if err := tx.Where("key = ?", holdSetting).Find(&rows).Error; err != nil || len(rows) == 0 {
		return hook.Hold{}, err
	}
	var stored storedHold
	if err := json.Unmarshal(rows[0].Value, &stored); err != nil {
		return hook.Hold{}, fmt.Errorf("reading the hold: %w", err)
	}
	return hook.Hold{On: stored.Hold, Since: stored.Since}, nil
}
