package main

import (
	"context"
	"time"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/manage"
)

// recordKeeper changes records by hand.
type recordKeeper struct{ n *node }

func (k recordKeeper) Collections(ctx context.Context, workspace hook.ID) ([]hook.Collection, error) {
	return k.n.store.Collections(ctx, workspace)
}

func (k recordKeeper) Records(ctx context.Context, workspace hook.ID, collection, prefix, after string, limit int, ascending bool) ([]*hook.Record, bool, error) {
	return k.n.store.Records(ctx, workspace, collection, prefix, after, limit, ascending)
}

func (k recordKeeper) Record(ctx context.Context, workspace hook.ID, collection, key string) (*hook.Record, error) {
	r, err := k.n.store.Record(ctx, workspace, collection, key)
	if err == nil && r == nil {
		err = hook.NotFound("record", collection+"/"+key)
	}
	return r, err
}

// PutRecord creates or replaces a record, and tells of it as an action does.
func (k recordKeeper) PutRecord(ctx context.Context, p hook.Principal, collection, key string, document []byte, w hook.Write) (hook.RecordResult, error) {
	var faults []hook.Fault
	if !action.ValidCollection(collection) {
		faults = append(faults, hook.Fault{Field: "collection", Code: "invalid_format", Detail: "a collection's name has 1 to 64 letters, digits, _ and -"})
	}
	if !action.ValidRecordKey(key) {
		faults = append(faults, hook.Fault{Field: "key", Code: "invalid_format", Detail: "a key has 1 to 512 bytes and no control characters"})
	}
	if len(document) == 0 || document[0] != '{' {
		faults = append(faults, hook.Fault{Field: "", Code: "invalid_format", Detail: "a record's document is a JSON object"})
	}
	if err := hook.Invalid(faults); err != nil {
		return hook.RecordResult{}, err
	}
	var out hook.RecordResult
	err := k.change(ctx, p, collection, key, w.Guard, func(old *hook.Record) (*hook.RecordChange, error) {
		out = hook.RecordResult{Record: old, Change: hook.Unchanged}
		if old != nil && action.SameJSON(old.Document, document) {
			return nil, nil
		}
		out.Change = hook.Updated
		if old == nil {
			out.Change = hook.Created
		}
		if w.DryRun {
			now := time.Now().UTC()
			next := hook.Record{Workspace: p.Workspace, Collection: collection, Key: key, CreatedAt: now}
			if old != nil {
				next = *old
			}
			next.Document, next.Version, next.UpdatedAt = document, next.Version+1, now
			out.Record = &next
			return nil, nil
		}
		return &hook.RecordChange{Document: document}, nil
	})
	if err == nil && !w.DryRun && out.Change != hook.Unchanged {
		out.Record, err = k.Record(ctx, p.Workspace, collection, key)
	}
	return out, err
}

// DeleteRecord deletes a record, and tells of it as an action does.
func (k recordKeeper) DeleteRecord(ctx context.Context, p hook.Principal, collection, key string, g hook.Guard) error {
	return k.change(ctx, p, collection, key, g, func(old *hook.Record) (*hook.RecordChange, error) {
		if old == nil {
			return nil, hook.NotFound("record", collection+"/"+key)
		}
		return &hook.RecordChange{}, nil
	})
}

// change writes what decide says of the record as it is, again if it changes meanwhile.
func (k recordKeeper) change(ctx context.Context, p hook.Principal, collection, key string, g hook.Guard, decide func(old *hook.Record) (*hook.RecordChange, error)) error {
	const tries = 20
	for range tries {
		old, err := k.n.store.Record(ctx, p.Workspace, collection, key)
		if err != nil {
			return err
		}
		var version int64
		if old != nil {
			version = old.Version
		}
		c, err := decide(old)
		if err == nil {
			err = manage.Guarded(g, version)
		}
		if err != nil || c == nil {
			return err
		}
		c.Workspace, c.Collection, c.Key = p.Workspace, collection, key
		e, _, _ := action.RecordEvent(old, c)
		effects, err := k.n.publish.Plan(ctx, p.Workspace, e, hook.Source{Kind: hook.SourceRecord, ID: p.Key}, 0)
		if err != nil {
			return err
		}
		effects.Records = []hook.RecordChange{*c}
		if effects.Audit, err = recordAudit(old, c); err != nil {
			return err
		}
		fate, err := k.n.store.ApplyEffects(ctx, effects)
		if err != nil {
			return err
		}
		if fate == hook.EffectDone {
			for _, t := range effects.Wake {
				k.n.worker.Waiting(t)
			}
			return nil
		}
		if _, err := k.n.catalog.Current(ctx, p.Workspace); err != nil {
			return err
		}
	}
	return &hook.Error{Kind: hook.KindUnavailable, Detail: "the record changes all the time", RetryAfter: time.Second}
}

// recordAudit is the entry of a change of a record.
func recordAudit(old *hook.Record, c *hook.RecordChange) (*hook.AuditEntry, error) {
	var before, after hook.Audited
	var version int64
	if old != nil {
		before, version = old, old.Version
	}
	if c.Document != nil {
		after = &hook.Record{Workspace: c.Workspace, Collection: c.Collection, Key: c.Key, Document: c.Document, Version: version + 1}
	}
	d, err := manage.Describe(before, after)
	return hook.NewAuditEntry("", c.Workspace, before, after, d), err
}
