package main

import (
	"context"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/send"
)

// targetSender makes the worker's attempts: webhooks' by HTTP, all others by running actions.
type targetSender struct {
	webhooks *send.Sender
	actions  *action.Executor
}

func (s targetSender) Send(ctx context.Context, t *hook.Target, j *hook.Job, number int) hook.Attempt {
	if t.Webhook != nil {
		return s.webhooks.Send(ctx, t.Webhook, j.Event, j.Delivery, number, j.Trigger)
	}
	return s.actions.Send(ctx, t, j, number)
}

// newActions joins the executor of actions to what it needs.
func (n *node) newActions() *action.Executor {
	return action.New(action.Config{
		Catalog: actionCatalog{n}, HTTP: exchanger{n.send}, Stopping: send.ErrStopping, Now: n.ids.Now,
		RequestKept: int(n.cfg.RequestKeepBytes), ResponseKept: int(n.cfg.ResponseKeepBytes), Log: n.log,
	})
}

// actionCatalog finds actions and doors as they are now.
type actionCatalog struct{ n *node }

func (c actionCatalog) Action(ctx context.Context, workspace hook.ID, code string) (*hook.Target, error) {
	v, err := c.n.catalog.View(ctx, workspace)
	if err != nil {
		return nil, err
	}
	return v.Action(code), nil
}

func (c actionCatalog) Door(ctx context.Context, workspace, id hook.ID) (*hook.IncomingWebhook, error) {
	v, err := c.n.catalog.View(ctx, workspace)
	if err != nil {
		return nil, err
	}
	if t := v.Targets[id]; t != nil {
		return t.Incoming, nil
	}
	return nil, nil
}

// exchanger sends the requests of actions.
type exchanger struct{ s *send.Sender }

func (e exchanger) Exchange(ctx context.Context, r action.HTTPRequest) hook.Attempt {
	q := send.Request{Method: r.Method, URL: r.URL, Body: r.Body, SuccessCodes: r.SuccessCodes, Timeout: r.Timeout, Secrets: r.Secrets}
	for _, h := range r.Headers {
		q.Headers = append(q.Headers, send.Field(h))
	}
	return e.s.Exchange(ctx, q)
}
