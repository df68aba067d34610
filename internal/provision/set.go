package provision

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Set is what a set of files describes.
type Set struct {
	Name      string
	Workspace string // "" is the key's own
	Items     []*Item

	variables map[string]string // name by value, of those that are in the files
}

// Item is an object of a set.
type Item struct {
	Kind  *Kind
	Code  string
	Place Place

	doc *value
}

// Ref is how the item is called: webhooks/erp-orders.
func (i *Item) Ref() string { return i.Kind.Field + "/" + i.Code }

// Wanted says what of the files is needed.
type Wanted int

const (
	// Everything is needed, and every variable set.
	Everything Wanted = iota
	// NamesOnly is for what only wants to know which objects there are.
	NamesOnly
)

// Load reads files as one set. Its error has every fault of every file, as Faults.
func (c *Checker) Load(sources []Source, env Environment, wanted Wanted) (*Set, error) {
	l := &loader{checker: c, env: env, wanted: wanted, set: &Set{variables: map[string]string{}}, seen: map[string]Place{}}
	l.noting = func(name string) (string, bool) {
		value, ok := env(name)
		if value != "" {
			l.set.variables[value] = name
		}
		return value, ok
	}
	for _, s := range sources {
		documents, err := read(s)
		if err != nil {
			l.faults = append(l.faults, asFaults(s, err)...)
			continue
		}
		for _, d := range documents {
			l.document(d)
		}
	}
	if l.set.Name == "" && len(l.faults) == 0 {
		where := Place{}
		if len(sources) > 0 {
			where.File = sources[0].Name
		}
		l.faults.add(where, "has no set: write `set: NAME`, by which its objects are known as its own")
	}
	if err := l.faults.err(); err != nil {
		return nil, err
	}
	l.set.order()
	return l.set, nil
}

func asFaults(s Source, err error) Faults {
	if faults, ok := err.(Faults); ok { //nolint:errorlint // read returns nothing that wraps
		return faults
	}
	return Faults{{Place: Place{File: s.Name}, Problem: err.Error()}}
}

type loader struct {
	checker     *Checker
	env, noting Environment
	wanted      Wanted
	set         *Set
	faults      Faults
	seen        map[string]Place
	setAt       Place
	workspaceAt Place
}

func (l *loader) document(d *value) {
	if d.form != isObject {
		l.faults.add(d.place, "must be a mapping with set, workspace, %s", fieldNames())
		return
	}
	known := []string{"set", "workspace"}
	for _, k := range kinds {
		known = append(known, k.Field)
	}
	for _, f := range d.fields {
		switch k := KindNamed(f.name); {
		case k != nil && k.Field == f.name:
			l.items(k, f)
		case f.name == "set":
			l.header(f, &l.set.Name, &l.setAt)
		case f.name == "workspace":
			l.header(f, &l.set.Workspace, &l.workspaceAt)
		case f.name == "$schema" || strings.HasPrefix(f.name, "x-"):
		default:
			l.faults.add(f.place, "%s", unknown(f.name, known))
		}
	}
}

func fieldNames() string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Field
	}
	return strings.Join(names, ", ")
}

// header reads set or workspace, which may stand in every file but must be the same in all.
func (l *loader) header(f field, into *string, at *Place) {
	before := len(l.faults)
	// A header is no secret, whatever it is made of.
	if f.value.expand(l.env, &l.faults); len(l.faults) > before {
		return
	}
	switch {
	case f.value.form != isText || f.value.text == "":
		l.faults.add(f.place, "%s must be a text", f.name)
	case *into != "" && *into != f.value.text:
		l.faults.add(f.place, "%s is %q here, but %q in %s: files that are applied together describe one set of one workspace", f.name, f.value.text, *into, at)
	default:
		*into, *at = f.value.text, f.place
	}
}

func (l *loader) items(k *Kind, f field) {
	if f.value.form == isOther && string(f.value.raw) == "null" {
		return // a heading without anything below
	}
	if f.value.form != isList {
		l.faults.add(f.place, "%s must be a list", f.name)
		return
	}
	for _, v := range f.value.list {
		l.item(k, v)
	}
}

func (l *loader) item(k *Kind, v *value) {
	if v.form != isObject {
		l.faults.add(v.place, "must be an object with a %s", k.Key)
		return
	}
	s := l.checker.root.Defs[k.Input]
	before := len(l.faults)
	l.checker.names(v, s, &l.faults)
	if l.wanted == Everything {
		v.expand(l.noting, &l.faults)
		l.checker.numbers(v, s, &l.faults)
	} else if key := v.get(k.Key); key != nil {
		key.expand(l.env, &l.faults)
	}
	key := v.get(k.Key)
	switch {
	case len(l.faults) > before:
		return
	case key == nil:
		l.faults.add(v.place, "needs a %s, by which it is known", k.Key)
		return
	case key.form != isText || key.text == "":
		l.faults.add(key.place, "%s must be a text", k.Key)
		return
	}
	item := &Item{Kind: k, Code: key.text, Place: v.place, doc: v}
	id := k.Field + "/" + strings.ToLower(item.Code)
	if first, ok := l.seen[id]; ok {
		l.faults.add(v.place, "%s is in %s already", item.Ref(), first)
		return
	}
	l.seen[id] = v.place
	l.set.Items = append(l.set.Items, item)
}

// body is what the API is to get: the item, marked as one of the set.
func (i *Item) body(set string) ([]byte, error) {
	metadata := i.doc.get("metadata")
	if metadata == nil {
		metadata = &value{place: i.Place, form: isObject}
	}
	if metadata.form == isObject {
		if owner := metadata.get(ManagedBy); owner != nil && (owner.form != isText || owner.text != set) {
			return nil, Faults{{Place: owner.place, Problem: fmt.Sprintf("metadata.%s is what the set is called, %q; leave it out", ManagedBy, set)}}
		}
		metadata = metadata.with(ManagedBy, &value{place: i.Place, form: isText, text: set})
	}
	return i.doc.with("metadata", metadata).json(false), nil
}

// order sorts items into the order in which they are applied: by kind, actions after those that
// they run, else as they are written.
func (s *Set) order() {
	rank := ranks(s.Items, func(i *Item) string { return i.Code }, func(i *Item) []byte {
		if i.Kind.Field != "actions" {
			return nil
		}
		return i.doc.json(false)
	})
	slices.SortStableFunc(s.Items, func(a, b *Item) int {
		return cmp.Or(cmp.Compare(a.Kind.order(), b.Kind.order()), cmp.Compare(rank[a], rank[b]))
	})
}

// ranks says how many actions of a list lie below each: 0 for one that runs no other of them.
func ranks[T comparable](list []T, code func(T) string, doc func(T) []byte) map[T]int {
	below := map[T][]string{}
	byCode := map[string]T{}
	for _, t := range list {
		var action struct {
			Type   string
			Config struct{ Actions []string }
		}
		if text := doc(t); text != nil && json.Unmarshal(text, &action) == nil && action.Type == "set" {
			below[t] = action.Config.Actions
		}
		if doc(t) != nil {
			byCode[strings.ToLower(code(t))] = t
		}
	}
	rank := map[T]int{}
	var visit func(t T, depth int) int
	visit = func(t T, depth int) int {
		if r, ok := rank[t]; ok || depth > len(list) { // in a circle there is no order; the server refuses it
			return r
		}
		r := 0
		for _, name := range below[t] {
			if other, ok := byCode[strings.ToLower(name)]; ok {
				r = max(r, 1+visit(other, depth+1))
			}
		}
		rank[t] = r
		return r
	}
	for _, t := range list {
		visit(t, 0)
	}
	return rank
}

// Hide puts the names of variables in the place of what is in them, so that no message of a
// server shows what was to stay in the environment.
func (s *Set) Hide(text string) string {
	const short = 6 // what is no longer is no secret, and would hide half the text
	values := make([]string, 0, len(s.variables))
	for v := range s.variables {
		if len(v) >= short {
			values = append(values, v)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	for _, v := range values {
		text = strings.ReplaceAll(text, v, "${"+s.variables[v]+"}")
	}
	return text
}
