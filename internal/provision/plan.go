package provision

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Op is what is to be done with an object.
type Op string

const (
	Create    Op = "create"
	Update    Op = "update"
	Delete    Op = "delete"
	Unchanged Op = "unchanged"
)

// Change is what is to be done with one object.
type Change struct {
	Op      Op
	Kind    *Kind
	Code    string
	Changed []string // names of the fields that an update changes
	Item    *Item    // nil for a Delete
	Before  *Object  // nil for a Create

	after json.RawMessage
	early bool // a Delete that others wait for, since it has their name
}

// Ref is how the object is called: webhooks/erp-orders.
func (c *Change) Ref() string { return c.Kind.Field + "/" + c.Code }

// Plan is what is to be done to have a set as its files describe it.
type Plan struct {
	Set     *Set
	Changes []*Change // in the order in which they are to be made, unchanged objects included

	// Extra are objects that the set manages and its files do not have, where the plan does not prune.
	Extra []*Object
}

// Same reports whether there is nothing to do.
func (p *Plan) Same() bool { return p.Count(Unchanged) == len(p.Changes) }

// Count counts changes.
func (p *Plan) Count(op Op) int {
	n := 0
	for _, c := range p.Changes {
		if c.Op == op {
			n++
		}
	}
	return n
}

// Options are what may be chosen for a plan.
type Options struct {
	Prune    bool // delete what the set manages and its files do not have
	TakeOver bool // take what another set manages

	// Told is called with the number of objects compared so far, and of all. May be nil.
	Told func(done, all int)
}

// atOnce is how many objects are compared at the same time. Comparing writes nothing, so that their
// order does not matter; a few hide the way to a server that is far.
const atOnce = 6

// MakePlan compares a set with what the server has. Nothing is written. Everything that the server
// refuses comes at once, as Faults with the places in the files.
func MakePlan(ctx context.Context, server Server, s *Set, o Options) (*Plan, error) {
	p := &planner{server: server, set: s, options: o, plan: &Plan{Set: s}, had: map[string]*Object{}}
	if err := p.look(ctx); err != nil {
		return nil, err
	}
	if err := p.owners(); err != nil {
		return nil, err
	}
	if err := p.extras(); err != nil {
		return nil, err
	}
	if err := p.compare(ctx); err != nil {
		return nil, err
	}
	p.sort()
	return p.plan, nil
}

type planner struct {
	server  Server
	set     *Set
	options Options
	plan    *Plan
	had     map[string]*Object // by reference in lower case
	extra   []*Object
	prune   []*Change
	mu      sync.Mutex // of had and of what is in prune, while items are looked at side by side
}

func key(k *Kind, code string) string { return k.Field + "/" + strings.ToLower(code) }

// look finds what there is of the set and of what its files have.
func (p *planner) look(ctx context.Context) error {
	for _, k := range kinds {
		list, err := p.server.List(ctx, k, p.set.Name)
		if err != nil {
			return err
		}
		for _, o := range list {
			p.had[key(k, o.Code)] = o
		}
	}
	inFiles := map[string]bool{}
	for _, i := range p.set.Items {
		inFiles[key(i.Kind, i.Code)] = true
	}
	for _, o := range p.had {
		if !inFiles[key(o.Kind, o.Code)] {
			p.extra = append(p.extra, o)
		}
	}
	slices.SortFunc(p.extra, func(a, b *Object) int {
		return cmp.Or(cmp.Compare(a.Kind.order(), b.Kind.order()), cmp.Compare(a.Code, b.Code))
	})
	var others []*Item
	for _, i := range p.set.Items {
		if p.had[key(i.Kind, i.Code)] == nil {
			others = append(others, i)
		}
	}
	return each(others, func(i *Item) error {
		o, err := p.server.Get(ctx, i.Kind, i.Code)
		if err == nil && o != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.had[key(i.Kind, i.Code)] = o
		}
		return err
	})
}

// each does something with all elements of a list, a few at a time, and returns the first error
// in the order of the list.
func each[T any](list []T, do func(T) error) error {
	errs := make([]error, len(list))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for n, t := range list {
		slots <- struct{}{}
		all.Go(func() {
			errs[n] = do(t)
			<-slots
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// owners refuses to take what another set manages: two that apply in turns would never agree.
func (p *planner) owners() error {
	var faults Faults
	for _, i := range p.set.Items {
		if o := p.had[key(i.Kind, i.Code)]; o != nil && o.Set != "" && o.Set != p.set.Name && !p.options.TakeOver {
			faults.add(i.Place, "%s is managed by the set %q; take it out of that one's files, or take it over with --take-over", i.Ref(), o.Set)
		}
	}
	return faults.err()
}

// extras finds what is to be pruned. Files without a single object are rather what is left of a
// generator that failed than the wish to be rid of everything.
func (p *planner) extras() error {
	if !p.options.Prune {
		p.plan.Extra = p.extra
		return nil
	}
	if n := len(p.extra); n > 0 && len(p.set.Items) == 0 {
		return fmt.Errorf("the files have no objects, and --prune would delete all %d that the set %q manages; if that is meant: sallyport export --set %[2]s | sallyport delete -f -", n, p.set.Name)
	}
	for _, o := range p.extra {
		p.prune = append(p.prune, &Change{Op: Delete, Kind: o.Kind, Code: o.Code, Before: o})
	}
	return nil
}

func (p *planner) compare(ctx context.Context) error {
	done := 0
	var faults Faults
	changes := make([]*Change, len(p.set.Items))
	numbers := make([]int, len(changes))
	for n := range numbers {
		numbers[n] = n
	}
	err := each(numbers, func(n int) error {
		i := p.set.Items[n]
		c, err := p.one(ctx, i)
		changes[n] = c
		p.mu.Lock()
		defer p.mu.Unlock()
		done++
		if p.options.Told != nil {
			p.options.Told(done, len(changes))
		}
		var refused *Refusal
		var wrong Faults
		switch {
		case errors.As(err, &wrong):
			faults = append(faults, wrong...)
		case errors.As(err, &refused):
			faults = append(faults, p.set.faults(i, p.named(refused))...)
		default:
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(faults, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line))
	})
	p.plan.Changes = changes
	return faults.err()
}

// one compares an item.
func (p *planner) one(ctx context.Context, i *Item) (*Change, error) {
	before := p.had[key(i.Kind, i.Code)]
	c := &Change{Op: Create, Kind: i.Kind, Code: i.Code, Item: i, Before: before}
	if before != nil {
		c.Code = before.Code // as it was created; cases do not count
	}
	body, err := i.body(p.set.Name)
	if err != nil {
		return c, err
	}
	how := Put{DryRun: true, IfNew: before == nil}
	if before != nil {
		how.IfMatch = before.ETag
	}
	out, err := p.server.Put(ctx, i.Kind, i.Code, body, how)
	waiting, ok := p.waiting(i, err)
	if ok {
		// What is refused is only what this very plan makes or clears away first. The rest is compared
		// without it.
		if body, err = i.without(waiting, before, p.set.Name); err != nil {
			return c, err
		}
		if body != nil {
			out, err = p.server.Put(ctx, i.Kind, i.Code, body, how)
		} else {
			out, err = &Outcome{Result: "created"}, nil
		}
	}
	if err != nil {
		return c, err
	}
	c.Changed, c.after = out.Changed, out.Doc
	for _, name := range waiting {
		if before != nil && !slices.Contains(c.Changed, name) {
			c.Changed = append(c.Changed, name)
			c.after = nil
		}
	}
	switch {
	case before == nil:
		c.Changed = nil
	case len(c.Changed) > 0:
		c.Op = Update
	default:
		c.Op = Unchanged
	}
	return c, nil
}

// sort puts the changes in order: deletions that others wait for, the items of the files, the other
// deletions in the opposite order.
func (p *planner) sort() {
	rank := ranks(p.prune, func(c *Change) string { return c.Code }, func(c *Change) []byte {
		if c.Kind.Field != "actions" {
			return nil
		}
		return c.Before.Doc
	})
	slices.SortStableFunc(p.prune, func(a, b *Change) int {
		return cmp.Or(cmp.Compare(b.Kind.order(), a.Kind.order()), cmp.Compare(rank[b], rank[a]))
	})
	var early, late []*Change
	for _, c := range p.prune {
		if c.early {
			early = append(early, c)
		} else {
			late = append(late, c)
		}
	}
	p.plan.Changes = slices.Concat(early, p.plan.Changes, late)
}
