package provision

import (
	"context"
	"fmt"
	"strings"
)

// Apply makes the changes of a plan, one after the other, and stops at the first that fails, with
// an *ApplyError. Objects must still be as the plan saw them. Told is called after each change
// that was made; what is unchanged is not touched.
func Apply(ctx context.Context, server Server, p *Plan, told func(*Change)) error {
	var todo []*Change
	for _, c := range p.Changes {
		if c.Op != Unchanged {
			todo = append(todo, c)
		}
	}
	for n, c := range todo {
		if err := c.make(ctx, server, p.Set); err != nil {
			return &ApplyError{Done: todo[:n], Failed: c, Left: todo[n+1:], Err: err}
		}
		told(c)
	}
	return nil
}

func (c *Change) make(ctx context.Context, server Server, s *Set) error {
	if c.Op == Delete {
		_, err := server.Delete(ctx, c.Kind, c.Code, c.Before.ETag)
		return c.refused(s, err)
	}
	body, err := c.Item.body(s.Name)
	if err != nil {
		return err
	}
	how := Put{IfNew: c.Before == nil}
	if c.Before != nil {
		how.IfMatch = c.Before.ETag
	}
	_, err = server.Put(ctx, c.Kind, c.Code, body, how)
	return c.refused(s, err)
}

// refused says what a refusal means here.
func (c *Change) refused(s *Set, err error) error {
	r, ok := err.(*Refusal) //nolint:errorlint // Server returns it as it is
	switch {
	case !ok:
		return err
	case r.Code == "precondition_failed":
		return fmt.Errorf("%s: somebody changed it since it was compared; look again", c.Ref())
	case c.Item != nil:
		return s.faults(c.Item, r)
	default:
		return fmt.Errorf("%s: %w", c.Ref(), r)
	}
}

// ApplyError says how far Apply came.
type ApplyError struct {
	Done   []*Change
	Failed *Change
	Left   []*Change
	Err    error
}

func (e *ApplyError) Error() string {
	var b strings.Builder
	b.WriteString(e.Err.Error())
	fmt.Fprintf(&b, "\n%d done, %d not: %s", len(e.Done), 1+len(e.Left), e.Failed.Ref())
	for _, c := range e.Left {
		b.WriteString(", " + c.Ref())
	}
	b.WriteString("\nApplying again goes on from here.")
	return b.String()
}

func (e *ApplyError) Unwrap() error { return e.Err }

// PlanDelete is the plan to delete what files name. What is not there needs no deleting.
func PlanDelete(ctx context.Context, server Server, s *Set, o Options) (*Plan, error) {
	p := &planner{server: server, set: s, options: o, plan: &Plan{Set: s}, had: map[string]*Object{}}
	if err := p.look(ctx); err != nil {
		return nil, err
	}
	if err := p.owners(); err != nil {
		return nil, err
	}
	for _, i := range s.Items {
		if o := p.had[key(i.Kind, i.Code)]; o != nil {
			p.prune = append(p.prune, &Change{Op: Delete, Kind: o.Kind, Code: o.Code, Before: o})
		}
	}
	p.sort()
	return p.plan, nil
}
