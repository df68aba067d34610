package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Server is the part of the API that provisioning needs.
type Server interface {
	// Get returns an object by its code or name, or nil if there is none.
	Get(ctx context.Context, k *Kind, code string) (*Object, error)

	// List returns all objects of a kind, oldest first; with a set, those that it manages.
	List(ctx context.Context, k *Kind, set string) ([]*Object, error)

	// Put creates or replaces an object, or says what that would do. What the server
	// refuses is a *Refusal.
	Put(ctx context.Context, k *Kind, code string, body []byte, how Put) (*Outcome, error)

	// Delete removes an object that has still this ETag, "" for whatever it has, and reports
	// whether it was there. What the server refuses is a *Refusal.
	Delete(ctx context.Context, k *Kind, code, etag string) (bool, error)
}

// Put says how an object is written.
type Put struct {
	DryRun bool
	// IfMatch is the ETag that the object must have; with IfNew there must be none.
	IfMatch string
	IfNew   bool
}

// Outcome is what a Put did or would do.
type Outcome struct {
	Result  string // created, updated or unchanged
	Changed []string
	Doc     json.RawMessage // the object as it then is
}

// Object is an object that the server has.
type Object struct {
	Kind *Kind
	Code string
	ID   string
	ETag string
	Set  string // which manages it, "" if none does
	Doc  json.RawMessage
}

// Ref is how the object is called: webhooks/erp-orders.
func (o *Object) Ref() string { return o.Kind.Field + "/" + o.Code }

// NewObject reads an object as the API answers it.
func NewObject(k *Kind, doc json.RawMessage, etag string) (*Object, error) {
	var d struct {
		ID, Code, Name string
		Version        int64
		Metadata       map[string]string
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, fmt.Errorf("reading one of the %s: %w", k.Path, err)
	}
	o := &Object{Kind: k, ID: d.ID, Code: d.Code, ETag: etag, Set: d.Metadata[ManagedBy], Doc: doc}
	if k.Key == "name" {
		o.Code = d.Name
	}
	if o.ETag == "" {
		o.ETag = fmt.Sprintf(`"%d"`, d.Version) // as GET of the one would have it
	}
	return o, nil
}

// Refusal is a problem that the server answers to a write.
type Refusal struct {
	Status int
	Code   string
	Detail string
	Owner  string   // id of who has the name
	UsedBy []string // who still needs it
	Faults []RefusalFault
}

// RefusalFault is one of the faults of a document.
type RefusalFault struct{ Pointer, Field, Code, Detail string }

func (r *Refusal) Error() string {
	text := fmt.Sprintf("%s (%d %s)", r.Detail, r.Status, r.Code)
	if len(r.UsedBy) > 0 {
		text += "; used by " + strings.Join(r.UsedBy, ", ")
	}
	return text
}
