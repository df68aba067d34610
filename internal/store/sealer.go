package store

import (
	"errors"
	"fmt"

	"sallyport/internal/hook"
)

// Sealer encrypts values that must not lie in the database in clear. ad binds a
// ciphertext to its place, so that it opens nowhere else.
type Sealer interface {
	Seal(plain []byte, ad string) ([]byte, error)
	Open(cipher []byte, ad string) ([]byte, error)
}

type sealerBox struct{ Sealer }

// SetSealer must be called before anything secret is read or written. The sealer's own
// keys may lie in the settings, hence not in Config.
func (s *Store) SetSealer(x Sealer) { s.sealer.Store(&sealerBox{x}) }

var errNoSealer = errors.New("the store has no sealer yet")

// place is the associated data of a ciphertext.
func place(workspace hook.ID, table, row, field string) string {
	return workspace.String() + "|" + table + "|" + row + "|" + field
}

func (s *Store) seal(plain []byte, workspace hook.ID, table, row, field string) ([]byte, error) {
	x := s.sealer.Load()
	if x == nil {
		return nil, errNoSealer
	}
	b, err := x.Seal(plain, place(workspace, table, row, field))
	if err != nil {
		return nil, fmt.Errorf("sealing %s.%s: %w", table, field, err)
	}
	return b, nil
}

func (s *Store) unseal(cipher []byte, workspace hook.ID, table, row, field string) ([]byte, error) {
	x := s.sealer.Load()
	if x == nil {
		return nil, errNoSealer
	}
	b, err := x.Open(cipher, place(workspace, table, row, field))
	if err != nil {
		return nil, fmt.Errorf("opening %s.%s of row %s: %w", table, field, row, err)
	}
	return b, nil
}
