package inbound

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"time"

	"sallyport/internal/hook"
)

// expandEvery is how often a node looks for large requests that others left.
const expandEvery = 5 * time.Second

// expandRetry is when a request that could not be expanded is tried again.
const expandRetry = 30 * time.Second

func (d *Doors) kickExpansion() {
	select {
	case d.expand <- struct{}{}:
	default:
	}
}

// expandLoop makes events of large requests, piece by piece. What a crash interrupts is
// taken up by whichever node looks next: a piece that is stored again makes nothing twice.
func (d *Doors) expandLoop(ctx context.Context) {
	tick := time.NewTicker(expandEvery)
	defer tick.Stop()
	for {
		for {
			more, err := d.expandOne(ctx)
			if err != nil && ctx.Err() == nil {
				d.log.WarnContext(ctx, "door.expand", "error", err)
			}
			if !more || err != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-d.expand:
		}
	}
}

// expandOne works on one large request, and reports whether there was one.
func (d *Doors) expandOne(ctx context.Context) (more bool, err error) {
	node := d.cfg.Node()
	if node == 0 {
		return false, nil
	}
	x, err := d.store.TakeExpansion(ctx, node)
	if err != nil || x == nil {
		return false, err
	}
	if err = d.expandWhole(ctx, node, x); err != nil && ctx.Err() == nil {
		// It must not keep others waiting: they come first.
		err = errors.Join(err, d.store.LeaveExpansion(ctx, node, x.Request, expandRetry, string(hook.KindOf(err))))
	}
	return true, err
}

// expandWhole works on a request until all its items are events, or ctx ends: then the next
// node sees it left by one that is gone. A panic is an error of that request's: nobody else's
// work ends with it.
func (d *Doors) expandWhole(ctx context.Context, node hook.NodeID, x *hook.Expansion) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	stored, err := d.store.RequestForRun(ctx, x.Workspace, x.Request)
	if hook.KindOf(err) == hook.KindNotFound { // its workspace was deleted: there is nothing to make events of
		return d.store.AdvanceExpansion(ctx, node, x.Request, x.Total)
	}
	if err != nil {
		return err
	}
	e := &expanding{request: stored, expansion: x}
	for done := x.Done; done < x.Total; {
		if err := ctx.Err(); err != nil {
			return err
		}
		to := min(done+piece, x.Total)
		err := d.expandPiece(ctx, e, done, to)
		if errors.Is(err, hook.ErrChanged) {
			continue
		}
		if err != nil {
			return err
		}
		if err := d.store.AdvanceExpansion(ctx, node, x.Request, to); err != nil {
			return err
		}
		done = to
	}
	return nil
}

// expanding is a large request under work. It is parsed once for as long as its door stays
// as it is.
type expanding struct {
	request   *hook.Request
	expansion *hook.Expansion
	door      *hook.IncomingWebhook
	judged    *judged
	items     counted
	refused   *refusal
}

// expandPiece stores the events of some items. Routes are those of now; a door that was
// deleted meanwhile goes on for what it accepted.
func (d *Doors) expandPiece(ctx context.Context, e *expanding, from, to int) error {
	x := e.expansion
	view, err := d.catalog.View(ctx, x.Workspace)
	if err != nil {
		return err
	}
	w := e.door
	if t := view.Targets[x.Incoming]; t != nil {
		w = t.Incoming
	} else if w == nil {
		if w, err = d.store.LoadIncoming(ctx, x.Workspace, x.Incoming); err != nil {
			return err
		}
	}
	if w != e.door {
		e.door, e.judged = w, d.recalled(e.request, w)
		if e.items, e.refused, err = d.count(e.judged); err != nil && e.refused == nil {
			return err
		}
	}
	if e.refused != nil {
		// The parser was changed to one that cannot read it: the rest are no items any more.
		d.log.WarnContext(ctx, "door.expand_unreadable", "request_id", e.request.ID, "reason", e.refused.detail)
		return nil
	}
	events, err := d.events(e.judged, view, e.items, from, to)
	if err != nil {
		return err
	}
	if to == x.Total {
		post(view, w, events)
		for _, c := range e.judged.routeChecks() { // the request was stored before anybody knew
			d.log.WarnContext(ctx, "door.route", "request_id", e.request.ID, "check", c.Name, "result", c.Result, "detail", c.Detail)
		}
	}
	return d.publisher.AdmitPiece(ctx, view, &hook.Admission{Request: e.request, Door: w, Events: events})
}

func address(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}
