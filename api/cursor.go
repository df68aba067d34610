package api

import (
	"crypto/sha256"
	"encoding/base64"

	"sallyport/internal/hook"
)

// A cursor is the id of the last row shown and a hash of what was asked, so that it
// cannot be used with other filters without anybody noticing. Clients must not read it.

const cursorHash = 8 // bytes: a slip is found, an attacker gains nothing by one

func hashOf(asked string) []byte {
	sum := sha256.Sum256([]byte(asked))
	return sum[:cursorHash]
}

func encodeCursor(last hook.ID, asked string) string {
	return base64.RawURLEncoding.EncodeToString(append(last[:], hashOf(asked)...))
}

func decodeCursor(text, asked string) (hook.ID, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	var id hook.ID
	if err != nil || len(b) != len(id)+cursorHash {
		return hook.NoID, invalidCursor("the cursor is not one of ours")
	}
	if string(b[len(id):]) != string(hashOf(asked)) {
		return hook.NoID, invalidCursor("the cursor belongs to a list with other filters or another order")
	}
	copy(id[:], b)
	return id, nil
}

func invalidCursor(detail string) error {
	e := hook.Errorf(hook.KindInvalidCursor, "%s", detail)
	e.Field = "cursor"
	return e
}
