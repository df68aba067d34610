package store

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sallyport/internal/hook"
)

type settingRow struct {
	Key   string `gorm:"primaryKey"`
	Value []byte
}

func (settingRow) TableName() string { return "settings" }

// Setting returns a value kept for the whole installation, nil if there is none.
func (s *Store) Setting(ctx context.Context, key string) ([]byte, error) {
	var rows []settingRow
	err := s.read(ctx, func(tx *gorm.DB) error {
		return tx.Where("key = ?", key).Find(&rows).Error
	})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return rows[0].Value, nil
}

// PutSettingIfAbsent stores a value unless there is one, and returns the one that is
// stored then: of several nodes that start at once all get the same.
func (s *Store) PutSettingIfAbsent(ctx context.Context, key string, value []byte) ([]byte, error) {
	var row settingRow
	err := s.write(ctx, func(tx *gorm.DB) error {
		err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&settingRow{key, value}).Error
		if err != nil {
			return err
		}
		row = settingRow{}
		return tx.Where("key = ?", key).Take(&row).Error
	})
	return row.Value, err
}

// PutSetting stores a value, whatever was there.
func (s *Store) PutSetting(ctx context.Context, key string, value []byte) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&settingRow{key, value}).Error
	})
}

// ReplaceSetting stores a value in place of the one that is known, puts done on record with
// it, and reports whether it did: not, if somebody else was faster.
func (s *Store) ReplaceSetting(ctx context.Context, key string, known, value []byte, done *hook.AuditEntry) (replaced bool, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		q := tx.Model(&settingRow{}).Where("key = ? AND value = ?", key, known).Update("value", value)
		if replaced = q.RowsAffected > 0; q.Error != nil || !replaced {
			return q.Error
		}
		return s.audit(tx, done)
	})
	return replaced, err
}
