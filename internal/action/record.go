package action

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"sallyport/internal/hook"
)

// recordAction changes the record store: it creates, replaces (upsert), merges into (update)
// or deletes a record. Each change emits an event; what changes nothing emits none.
type recordAction struct {
	kind       hook.ActionType
	collection *text
	key        *text
	document   *document // not of deleteRecord
}

func newRecord(kind hook.ActionType, o *settings) runner {
	r := &recordAction{
		kind: kind, collection: o.required("collection", "name the collection of the record, such as stock"),
		key: o.required("key", "name the key of the record, such as {{ item.sku }}"),
	}
	if t := r.collection; t != nil && t.template == nil && t.source != "" && !ValidCollection(strings.TrimSpace(t.source)) {
		o.b.fault(t.field, "invalid_format", collectionRule)
	}
	if kind != hook.ActionDeleteRecord {
		r.document = o.document("document")
		if !r.document.text && !r.document.whole {
			if _, ok := r.document.root.(*objectNode); !ok {
				o.b.fault(o.field("document"), "invalid_format", "must be a JSON object, or a template that renders one")
			}
		}
	}
	return r
}

const (
	maxKey         = 512 // bytes
	collectionRule = "must be 1 to 64 letters, digits, _ and -"
)

// ValidCollection reports whether a collection may have this name.
func ValidCollection(name string) bool { return hook.IsCode(name) }

// ValidRecordKey reports whether a record may have this key: 1 to 512 bytes of UTF-8 without
// control characters.
func ValidRecordKey(key string) bool {
	return key != "" && len(key) <= maxKey && utf8.ValidString(key) && !hook.HasControl(key)
}

// place renders where the record is.
func (r *recordAction) place(c *call) (collection, key string, err error) {
	if collection, err = r.collection.trimmed(c); err != nil {
		return "", "", err
	}
	if !ValidCollection(collection) {
		return "", "", bad(r.collection.field, "%q: %s", shortened(collection), collectionRule)
	}
	if key, err = r.key.trimmed(c); err != nil {
		return "", "", err
	}
	if !ValidRecordKey(key) {
		return "", "", bad(r.key.field, "%q is no key: it must have 1 to 512 bytes, and no control characters", shortened(key))
	}
	return collection, key, nil
}

func (r *recordAction) run(ctx context.Context, c *call, a *hook.Attempt) {
	if err := r.attempt(ctx, c, a); err != nil {
		c.x.failed(ctx, a, err)
	}
}

func (r *recordAction) attempt(ctx context.Context, c *call, a *hook.Attempt) error {
	collection, key, err := r.place(c)
	if err != nil {
		return err
	}
	config := new(object).text("collection", collection).text("key", key)
	var document []byte
	if r.document != nil {
		if document, err = r.document.render(c); err != nil {
			return err
		}
		if !isObject(document) {
			return bad(r.document.field, "a record's document is a JSON object, and this is none")
		}
		config.set("document", document)
	}
	name := "record " + collection + "/" + key
	c.asked(a, "record:"+collection+"/"+key, config)
	if c.x.cfg.Records == nil {
		return hook.Errorf(hook.KindInvalidState, "there is no record store here")
	}
	old, err := c.x.cfg.Records.Record(ctx, c.scene.workspace, collection, key)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	switch {
	case r.kind == hook.ActionCreateRecord && old != nil:
		fail(a, hook.ClassStatus, true, "%s exists", name)
		return nil
	case r.kind == hook.ActionUpdateRecord && old == nil:
		fail(a, hook.ClassStatus, true, "there is no %s", name)
		return nil
	case r.kind == hook.ActionDeleteRecord && old == nil:
		// Gone is what was asked for, and whoever asks twice is not wrong.
		c.succeeded(a, new(object).text("result", "was not there"))
		return nil
	case r.kind == hook.ActionUpdateRecord:
		if document, err = mergePatch(old.Document, document); err != nil {
			return bad(r.document.field, "%s", err.Error())
		}
	}
	if old != nil && document != nil && sameJSON(old.Document, document) {
		c.succeeded(a, new(object).text("result", "unchanged").value("version", old.Version))
		return nil
	}
	if len(document) > c.x.cfg.MaxEntity {
		return bad(r.document.field, "has %d bytes; a record has at most %d", len(document), c.x.cfg.MaxEntity)
	}
	return r.change(ctx, c, a, old, hook.RecordChange{Workspace: c.scene.workspace, Collection: collection, Key: key, Document: document})
}

// change puts the change and its event into the attempt's effects.
func (r *recordAction) change(ctx context.Context, c *call, a *hook.Attempt, old *hook.Record, change hook.RecordChange) error {
	e, result, version := RecordEvent(old, &change)
	effects, err := c.plan(ctx, e, hook.SourceRecord)
	if err != nil {
		return err
	}
	effects.Records = append(effects.Records, change)
	a.Effects = effects
	outcome := new(object).text("result", result).value("version", version)
	if len(effects.Events) > 0 {
		outcome.text("eventId", effects.Events[0].Event.ID)
	}
	c.succeeded(a, outcome)
	return nil
}

// RecordEvent makes the event that tells of a record's change, and says what happens to the
// record and its version then. old is the record as it is, nil if there is none; the change
// is bound to it.
func RecordEvent(old *hook.Record, change *hook.RecordChange) (e hook.NewEvent, result string, version int64) {
	e.Type, result, version = hook.TypeRecordCreated, "created", 1
	if old != nil {
		e.Type, result, version = hook.TypeRecordUpdated, "updated", old.Version+1
		change.Expect, change.Made = old.Version, old.CreatedAt
	}
	if change.Document == nil {
		e.Type, result, version = hook.TypeRecordDeleted, "deleted", old.Version
	}
	entity := new(object).text("collection", change.Collection).text("key", change.Key).value("version", version).set("document", change.Document)
	if old != nil {
		entity.set("before", old.Document)
	}
	e.EntityID, e.Entity = hook.EntityID{Text: change.Key}, entity.bytes()
	return e, result, version
}

// SameJSON reports that two documents say the same.
func SameJSON(a, b []byte) bool { return sameJSON(a, b) }
