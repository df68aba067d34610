package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"sallyport/internal/hook"
)

// Idempotency keeps the answers of creating calls.
type Idempotency struct{ s *Store }

// Idempotency returns the part of the store that remembers answers.
func (s *Store) Idempotency() *Idempotency { return &Idempotency{s} }

const (
	idempotencyKept = 24 * time.Hour
	// idempotencyLease is how long a call may take before another with the same key may
	// begin: far above what a request is allowed to last, so that its node has died.
	idempotencyLease = 2 * time.Minute
)

type idempotencyRow struct {
	ID          []byte `gorm:"primaryKey"`
	WorkspaceID rowID
	Fingerprint []byte
	Answer      []byte
	StartedAt   int64
	ExpiresAt   int64
}

func (idempotencyRow) TableName() string { return "idempotency" }

// scopeID names a scope: no field can run into the next.
func scopeID(c hook.IdempotencyScope) []byte {
	h := sha256.New()
	for _, part := range []string{c.Workspace.String(), c.Key.String(), c.Method, c.Path, c.Value} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return h.Sum(nil)
}

// Begin claims the scope for a request with this fingerprint. It returns the first
// answer if there is one, nil if the caller is now to do the work and then to call
// Complete or Abandon. Errors: KindIdempotencyReused for another fingerprint,
// KindIdempotencyBusy while the first call runs.
func (i *Idempotency) Begin(ctx context.Context, scope hook.IdempotencyScope, fingerprint [32]byte) (*hook.Answer, error) {
	var answer *hook.Answer
	err := i.s.write(ctx, func(tx *gorm.DB) error {
		now := i.s.now()
		mine := idempotencyRow{
			ID: scopeID(scope), WorkspaceID: rowID(scope.Workspace), Fingerprint: fingerprint[:],
			StartedAt: micros(now), ExpiresAt: micros(now.Add(idempotencyKept)),
		}
		done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&mine)
		if done.Error != nil || done.RowsAffected == 1 {
			return done.Error
		}
		q := tx.Where("id = ?", mine.ID)
		if i.s.engine == Postgres {
			q = q.Clauses(clause.Locking{Strength: "UPDATE"})
		}
		var first idempotencyRow
		if err := q.Take(&first).Error; err != nil {
			return err
		}
		abandoned := first.Answer == nil && first.StartedAt < micros(now.Add(-idempotencyLease))
		switch {
		case abandoned || first.ExpiresAt <= micros(now):
			return tx.Save(&mine).Error
		case !bytes.Equal(first.Fingerprint, fingerprint[:]):
			return hook.Errorf(hook.KindIdempotencyReused, "this Idempotency-Key was used with another body")
		case first.Answer == nil:
			return &hook.Error{Kind: hook.KindIdempotencyBusy, Detail: "the first call with this Idempotency-Key still runs", RetryAfter: time.Second}
		}
		plain, err := i.s.unseal(first.Answer, scope.Workspace, "idempotency", hex.EncodeToString(mine.ID), "answer")
		if err != nil {
			return err
		}
		answer = &hook.Answer{}
		return json.Unmarshal(plain, answer)
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// Complete stores the answer for 24 hours.
func (i *Idempotency) Complete(ctx context.Context, scope hook.IdempotencyScope, a hook.Answer) error {
	plain, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	id := scopeID(scope)
	sealed, err := i.s.seal(plain, scope.Workspace, "idempotency", hex.EncodeToString(id), "answer")
	if err != nil {
		return err
	}
	return i.s.write(ctx, func(tx *gorm.DB) error {
		return tx.Model(&idempotencyRow{}).Where("id = ? AND answer IS NULL", id).
			Updates(map[string]any{"answer": sealed, "expires_at": micros(i.s.now().Add(idempotencyKept))}).Error
	})
}

// Abandon forgets that the call was begun, because it has no final answer.
func (i *Idempotency) Abandon(ctx context.Context, scope hook.IdempotencyScope) error {
	return i.s.write(ctx, func(tx *gorm.DB) error {
		return tx.Where("id = ? AND answer IS NULL", scopeID(scope)).Delete(&idempotencyRow{}).Error
	})
}
