package manage

import "sallyport/internal/hook"

// edit is one write of configuration, of whatever noun.
type edit[N any] struct {
	guard    hook.Guard
	document func(cur *N) ([]byte, error) // what is to be there, which may depend on what is
	version  func(*N) int64
	read     func(doc []byte) (*N, error) // reads and checks the document
	changes  func(cur, next *N) []string  // names the fields that differ
}

// decide returns the next state and what it changes of the current one, which is nil where
// nothing exists yet. The next state is nil if it would be the same.
func (e edit[N]) decide(cur *N) (next *N, change hook.Change, changed []string, err error) {
	doc, err := e.document(cur)
	if err != nil {
		return nil, "", nil, err
	}
	var version int64
	if cur != nil {
		version = e.version(cur)
	}
	if err := guarded(e.guard, version); err != nil {
		return nil, "", nil, err
	}
	if next, err = e.read(doc); err != nil {
		return nil, "", nil, err
	}
	if cur == nil {
		return next, hook.Created, nil, nil
	}
	if changed = e.changes(cur, next); len(changed) == 0 {
		return nil, hook.Unchanged, nil, nil
	}
	return next, hook.Updated, changed, nil
}
