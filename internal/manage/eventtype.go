package manage

import (
	"bytes"
	"context"
	"encoding/json"

	"sallyport/internal/hook"
)

// Bounds of catalogue entries.
const (
	maxDescription = 2000
	maxSchema      = 64 << 10
	maxSample      = 64 << 10
)

// CreateEventType adds a type to the catalogue.
func (s *Service) CreateEventType(ctx context.Context, p hook.Principal, doc []byte) (hook.EventTypeResult, error) {
	return s.editEventType(ctx, p, "", hook.Write{}, whole[*hook.EventType](nil, "", doc))
}

// PutEventType creates or replaces a catalogue entry.
func (s *Service) PutEventType(ctx context.Context, p hook.Principal, name string, doc []byte, w hook.Write) (hook.EventTypeResult, error) {
	return s.editEventType(ctx, p, name, w, whole[*hook.EventType](hook.NotFound("event type", name), name, doc))
}

// PatchEventType changes parts of a catalogue entry. A schema or sample is replaced as
// a whole: merging into it would make something nobody wrote.
func (s *Service) PatchEventType(ctx context.Context, p hook.Principal, name string, doc []byte, w hook.Write) (hook.EventTypeResult, error) {
	return s.editEventType(ctx, p, name, w, merged(hook.NotFound("event type", name), func(cur *hook.EventType) ([]byte, error) {
		patch, err := readDocument(doc)
		if err != nil {
			return nil, err
		}
		merged, err := patched(eventTypeDocument(cur), doc)
		if err != nil {
			return nil, err
		}
		whole := map[string]json.RawMessage{}
		if err := json.Unmarshal(merged, &whole); err != nil {
			return nil, err
		}
		for name, old := range map[string][]byte{"schema": cur.Schema, "sample": cur.Sample} {
			if patch.has(name) {
				whole[name] = patch.raw(name)
			} else if old != nil {
				whole[name] = old
			}
		}
		return encode(whole)
	}))
}

// eventTypeDocument is what a PUT would have to say to change nothing but a schema or a
// sample, which are written as they are.
func eventTypeDocument(t *hook.EventType) map[string]any {
	return map[string]any{"description": t.Description, "mode": t.Mode, "archived": t.Archived, "metadata": t.Metadata}
}

func (s *Service) editEventType(ctx context.Context, p hook.Principal, ref string, w hook.Write, document document[*hook.EventType]) (hook.EventTypeResult, error) {
	var res hook.EventTypeResult
	var err error
	res.EventType, err = s.store.EditEventType(ctx, p.Workspace, ref, w.DryRun, func(scene hook.EventTypeScene) (next *hook.EventType, err error) {
		next, res.Change, res.Changed, err = edit[*hook.EventType]{
			guard: w.Guard, document: document, changes: eventTypeChanges,
			read: func(doc []byte) (*hook.EventType, error) { return readEventType(doc, ref, scene) },
		}.decide(scene.Current)
		return next, err
	})
	if err != nil {
		return hook.EventTypeResult{}, err
	}
	if !w.DryRun && res.Change != hook.Unchanged {
		s.pipeline.ConfigChanged(p.Workspace)
	}
	return res, nil
}

func eventTypeChanges(a, b *hook.EventType) []string {
	return changes(
		same("description", a.Description == b.Description),
		same("schema", bytes.Equal(a.Schema, b.Schema)),
		same("mode", a.Mode == b.Mode),
		same("sample", bytes.Equal(a.Sample, b.Sample)),
		same("archived", a.Archived == b.Archived),
		same("metadata", sameMetadata(a.Metadata, b.Metadata)),
	)
}

func readEventType(doc []byte, ref string, scene hook.EventTypeScene) (*hook.EventType, error) {
	o, err := readDocument(doc)
	if err != nil {
		return nil, err
	}
	next := &hook.EventType{
		Description: o.text("description", "", 0, maxDescription),
		Mode:        hook.SchemaMode(o.oneOf("mode", string(hook.SchemaReject), string(hook.SchemaReject), string(hook.SchemaWarn), string(hook.SchemaOff))),
		Archived:    o.flag("archived", false), Metadata: o.metadata(),
		Schema: o.json("schema", maxSchema), Sample: o.json("sample", maxSample),
	}
	if next.Schema != nil {
		o.checkSchema("schema", next.Schema)
	}
	cur := scene.Current
	switch name := o.text("name", "", 1, hook.MaxEventType); {
	case cur != nil:
		next.Name, next.LastPublishedAt = cur.Name, cur.LastPublishedAt
		if name != "" && name != cur.Name {
			o.fault("name", "code_mismatch", "%q is not the name in the path; names cannot change", name)
		}
	case ref != "":
		next.Name = ref
		if name != "" && name != ref {
			o.fault("name", "code_mismatch", "%q is not the name in the path, %q", name, ref)
		}
	case !o.has("name"):
		o.fault("name", "required", "an event type needs a name")
	default:
		next.Name = name
	}
	if cur == nil && next.Name != "" {
		o.checkTypeName("name", next.Name)
	}
	o.ignore("id", "operational", "lastPublishedAt", "version", "createdAt", "updatedAt")
	o.done()
	if err := hook.Invalid(o.faults); err != nil {
		return nil, err
	}
	if cur == nil && ref == "" {
		if err := nameFree(scene.Scene, next.Name, "event type", hook.NoID); err != nil {
			return nil, err
		}
	}
	return next, nil
}

func (r *reader) checkTypeName(field, name string) {
	switch {
	case len(name) > hook.MaxEventType:
		r.fault(field, "too_long", "has %d characters; at most %d are allowed", len(name), hook.MaxEventType)
	case !hook.IsEventType(name):
		r.fault(field, "invalid_format", "%q is not a name such as order.paid: segments of A-Z a-z 0-9 _ : / - between dots", name)
	case hook.IsID(name):
		r.fault(field, "invalid_format", "a name must not look like an id")
	}
}

// json reads any JSON, compacted; absent and null are nil.
func (o *object) json(name string, most int) []byte {
	raw := o.raw(name)
	if raw == nil || isNull(raw) {
		return nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		o.fault(o.at(name), "invalid_format", "is not JSON")
		return nil
	}
	if b.Len() > most {
		o.fault(o.at(name), "too_long", "has %d bytes; at most %d are allowed", b.Len(), most)
		return nil
	}
	return b.Bytes()
}

// GetEventType returns a catalogue entry.
func (s *Service) GetEventType(ctx context.Context, p hook.Principal, name string) (*hook.EventType, error) {
	return s.store.EventType(ctx, p.Workspace, name)
}

// ListEventTypes lists the catalogue, and reports whether more follow.
func (s *Service) ListEventTypes(ctx context.Context, p hook.Principal, f hook.ListFilter, page hook.Page) (list []*hook.EventType, more bool, err error) {
	return s.store.EventTypes(ctx, p.Workspace, f, page)
}

// DeleteEventType removes a type from the catalogue; our own stay.
func (s *Service) DeleteEventType(ctx context.Context, p hook.Principal, name string, g hook.Guard) error {
	err := s.store.DeleteEventType(ctx, p.Workspace, name, func(t *hook.EventType) error {
		if err := Guarded(g, t.Version); err != nil {
			return err
		}
		if t.Operational {
			return hook.Errorf(hook.KindInvalidState, "%s is one of Sallyport's own types and stays", t.Name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.pipeline.ConfigChanged(p.Workspace)
	return nil
}
