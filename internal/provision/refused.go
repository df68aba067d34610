package provision

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What the server refuses while a plan is made, and what of it passes by itself once the plan is
// carried out.

// waiting returns the fields of an item that are refused only because of the order in which
// the plan will be carried out, and whether nothing else is refused.
func (p *planner) waiting(i *Item, err error) ([]string, bool) {
	var r *Refusal
	if !errors.As(err, &r) {
		return nil, false
	}
	if r.Code == "name_taken" {
		return []string{"name"}, p.clears(r.Owner)
	}
	if r.Code != "validation_failed" || len(r.Faults) == 0 {
		return nil, false
	}
	var fields []string
	for _, f := range r.Faults {
		if !p.makes(i, f) {
			return nil, false
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(f.Pointer, "/"), "/")
		if !slices.Contains(fields, name) {
			fields = append(fields, name)
		}
	}
	return fields, true
}

// makes reports whether a fault is that something does not exist that the plan creates.
func (p *planner) makes(i *Item, f RefusalFault) bool {
	var k *Kind
	switch f.Code {
	case "unknown_action":
		k = KindNamed("actions")
	case "unknown_event_type":
		k = KindNamed("eventTypes")
	default:
		return false
	}
	v, whole := i.doc.at(f.Pointer)
	if !whole || v.form != isText || p.had[key(k, v.text)] != nil {
		return false
	}
	return slices.ContainsFunc(p.set.Items, func(other *Item) bool { return other.Kind == k && strings.EqualFold(other.Code, v.text) })
}

// clears reports whether the plan deletes who has a name, and has it deleted early.
func (p *planner) clears(owner string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.prune {
		if c.Before.ID == owner && owner != "" {
			c.early = true
			return true
		}
	}
	return false
}

// named says who has a name, where the plan knows.
func (p *planner) named(r *Refusal) *Refusal {
	if r.Owner == "" {
		return r
	}
	out := *r
	for _, o := range p.had {
		if o.ID == r.Owner {
			out.Detail += ": " + o.Ref() + " has it"
			if slices.Contains(p.extra, o) {
				out.Detail += ", which the files no longer have; --prune deletes it first"
			}
		}
	}
	return &out
}

// without is what to compare in place of an item that has fields which wait: with those as they are
// now. It is nil where such an object could not be created.
func (i *Item) without(fields []string, before *Object, set string) ([]byte, error) {
	doc := *i
	var now map[string]json.RawMessage
	if before != nil {
		if err := json.Unmarshal(before.Doc, &now); err != nil {
			return nil, fmt.Errorf("reading %s: %w", i.Ref(), err)
		}
	}
	for _, name := range fields {
		if before == nil && (name == "config" || name == "type") {
			return nil, nil
		}
		var v *value
		if raw := now[name]; raw != nil {
			v = &value{place: i.Place, form: isOther, raw: raw}
		}
		doc.doc = doc.doc.with(name, v)
	}
	return doc.body(set)
}

// faults puts what the server refuses of an item at its places in the files.
func (s *Set) faults(i *Item, r *Refusal) Faults {
	var faults Faults
	if len(r.Faults) == 0 {
		faults.add(i.Place, "%s: %s", i.Ref(), s.Hide(r.Error()))
	}
	for _, f := range r.Faults {
		v, _ := i.doc.at(f.Pointer)
		at := i.Ref()
		if f.Field != "" {
			at += " " + f.Field
		}
		faults.add(v.place, "%s: %s (%s)", at, s.Hide(f.Detail), f.Code)
	}
	return faults
}
