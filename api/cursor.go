package api

import (
	"crypto/sha256"
	"encoding/base64"

	"sallyport/internal/hook"
)

// A cursor is the id or key of the last row shown and a hash of what was asked, so that it
// cannot be used with other filters without anybody noticing. Clients must not read it.

const cursorHash = 8 // bytes: a slip is found, an attacker gains nothing by one

func hashOf(asked string) []byte {
	sum := sha256.Sum256([]byte(asked))
	return sum[:cursorHash]
}

func encodeCursor(last []byte, asked string) string {
	whole := make([]byte, 0, len(last)+cursorHash)
	return base64.RawURLEncoding.EncodeToString(append(append(whole, last...), hashOf(asked)...))
}

func decodeCursor(text, asked string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < cursorHash {
		return nil, invalidCursor("the cursor is not one of ours")
	}
	last, hash := b[:len(b)-cursorHash], b[len(b)-cursorHash:]
	if string(hash) != string(hashOf(asked)) {
		return nil, invalidCursor("the cursor belongs to a list with other filters or another order")
	}
	return last, nil
}

func invalidCursor(detail string) error {
	e := hook.Errorf(hook.KindInvalidCursor, "%s", detail)
	e.Field = "cursor"
	return e
}
