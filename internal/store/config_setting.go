package store

import (
	"context"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
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
