package manage

import "sallyport/internal/hook"

// resource is configuration of whatever kind, as a pointer that is nil where there is none.
type resource interface {
	comparable
	hook.Audited
}

// edit is one write of configuration.
type edit[R resource] struct {
	guard    hook.Guard
	document document[R]
	read     func(doc []byte) (R, error) // reads and checks the document
	changes  func(cur, next R) []string  // names the fields that differ
}

// document says what is to be there, which may depend on what is.
type document[R resource] = func(cur R) ([]byte, error)

// whole is the document of a POST, where ref is "", or of a PUT: what is there is replaced. A path
// with an id makes nothing new.
func whole[R resource](missing error, ref string, doc []byte) document[R] {
	return func(cur R) ([]byte, error) {
		var none R
		if cur == none && hook.IsID(ref) {
			return nil, missing
		}
		return doc, nil
	}
}

// merged is the document of a PATCH, which changes only what is there.
func merged[R resource](missing error, merge func(cur R) ([]byte, error)) document[R] {
	return func(cur R) ([]byte, error) {
		var none R
		if cur == none {
			return nil, missing
		}
		return merge(cur)
	}
}

// decide returns the next state and what it changes of the current one, which is nil where
// nothing exists yet. The next state is nil if it would be the same.
func (e edit[R]) decide(cur R) (next R, change hook.Change, changed []string, err error) {
	var none R
	doc, err := e.document(cur)
	if err != nil {
		return none, "", nil, err
	}
	var version int64
	if cur != none {
		version = cur.AuditSubject().Version
	}
	if err := Guarded(e.guard, version); err != nil {
		return none, "", nil, err
	}
	if next, err = e.read(doc); err != nil {
		return none, "", nil, err
	}
	if cur == none {
		return next, hook.Created, nil, nil
	}
	if changed = e.changes(cur, next); len(changed) == 0 {
		return none, hook.Unchanged, nil, nil
	}
	return next, hook.Updated, changed, nil
}
