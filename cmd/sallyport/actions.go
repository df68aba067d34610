package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/parse"
	"sallyport/internal/send"
	"sallyport/internal/store"
)

// targetSender makes the worker's attempts: webhooks' by HTTP, alerts by mail, all
// others by running actions.
type targetSender struct {
	webhooks *send.Sender
	actions  *action.Executor
	alerts   alerts
}

func (s targetSender) Send(ctx context.Context, t *hook.Target, j *hook.Job, number int) hook.Attempt {
	switch {
	case t.Webhook != nil:
		return s.webhooks.Send(ctx, t.Webhook, j.Event, j.Delivery, number, j.Trigger)
	case t.Alerts != nil:
		return s.alerts.Send(ctx, t, j)
	}
	return s.actions.Send(ctx, t, j, number)
}

// newActions joins the executor of actions to what it needs.
func (n *node) newActions() (*action.Executor, error) {
	cfg := action.Config{
		Requests: requestFinder{n.store}, Bodies: requestBodies{}, Events: eventPlanner{n}, Records: n.store,
		Catalog: actionCatalog{n}, HTTP: exchanger{n.send}, Stopping: send.ErrStopping, Now: n.ids.Now,
		RequestKept: int(n.cfg.RequestKeepBytes), ResponseKept: int(n.cfg.ResponseKeepBytes), MaxEntity: int(n.cfg.EventMaxBytes), Log: n.log,
	}
	var err error
	if n.cfg.SMTPURL != "" {
		if cfg.Mail, err = action.ParseMailServer(string(n.cfg.SMTPURL), n.cfg.MailFrom); err != nil {
			return nil, fmt.Errorf("%s %w", action.SettingSMTP, err)
		}
	}
	if n.cfg.Commands != "" {
		if cfg.Commands, err = action.LoadCommands(n.cfg.Commands); err != nil {
			return nil, fmt.Errorf("%s: %w", action.SettingCommands, err)
		}
	}
	return action.New(cfg), nil
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

// requestFinder reads requests for actions.
type requestFinder struct{ s *store.Store }

func (f requestFinder) Request(ctx context.Context, workspace, id hook.ID) (*hook.Request, error) {
	return f.s.RequestForRun(ctx, workspace, id)
}

// requestBodies parses bodies of requests for templates.
type requestBodies struct{}

func (requestBodies) Body(parser hook.Parser, r *hook.Request) ([]byte, error) {
	p, faults := parse.Compile(parser)
	if err := hook.Invalid(faults); err != nil {
		return nil, err
	}
	in := parse.Input{RawQuery: r.ShownQuery(), Body: r.Body.Bytes}
	for _, h := range r.Headers {
		if h.Name == "Content-Type" {
			in.ContentType = h.Value
		}
	}
	result, err := p.Parse(in)
	if err != nil {
		return nil, err
	}
	return result.BodyJSON(), nil
}

// eventPlanner plans the events that actions publish.
type eventPlanner struct{ n *node }

func (p eventPlanner) Plan(ctx context.Context, workspace hook.ID, e hook.NewEvent, source hook.Source, hops int) (*hook.Effects, error) {
	return p.n.publish.Plan(ctx, workspace, e, source, hops)
}

// actionTester runs actions by hand.
type actionTester struct{ n *node }

// TestAction runs an action with the values it is given: the members of a JSON object as
// templates see them.
func (t actionTester) TestAction(ctx context.Context, p hook.Principal, id hook.ID, variables []byte, call hook.ID) (*hook.Attempt, error) {
	v, err := t.n.catalog.View(ctx, p.Workspace)
	if err != nil {
		return nil, err
	}
	target := v.Targets[id]
	if target == nil || target.Action == nil {
		return nil, hook.NotFound("action", id.String())
	}
	var in struct {
		Item  json.RawMessage `json:"item"`
		Event struct {
			Type      string          `json:"type"`
			EntityID  json.RawMessage `json:"entityId"`
			Entity    json.RawMessage `json:"entity"`
			EntityURL string          `json:"entityUrl"`
		} `json:"event"`
		Request *struct {
			IP      string            `json:"ip"`
			Method  string            `json:"method"`
			Path    string            `json:"path"`
			Headers map[string]string `json:"headers"`
			Query   map[string]string `json:"query"`
			RawBody string            `json:"rawBody"`
			Body    json.RawMessage   `json:"body"`
		} `json:"request"`
	}
	if err := json.Unmarshal(variables, &in); err != nil {
		return nil, hook.Invalid([]hook.Fault{{Field: "context", Code: "invalid_format",
			Detail: "request, item and event must look as templates see them: " + err.Error()}})
	}
	e := hook.NewEvent{Type: cmp.Or(in.Event.Type, "action.test"), Entity: in.Event.Entity, EntityURL: in.Event.EntityURL}
	if in.Item != nil {
		e.Entity = in.Item
	}
	if e.Entity == nil {
		e.Entity = []byte("{}")
	}
	switch raw := in.Event.EntityID; {
	case len(raw) == 0 || string(raw) == "null":
	case raw[0] == '"':
		_ = json.Unmarshal(raw, &e.EntityID.Text) // it is a string
	default:
		e.EntityID = hook.EntityID{Text: string(raw), Number: true}
	}
	source := hook.Source{Kind: hook.SourceAPI, ID: p.Key, RequestID: call}
	if r := in.Request; r != nil {
		source.Kind = hook.SourceAction // so that the made-up request is found
		q := &hook.Request{ID: call, Workspace: p.Workspace, ClientAddress: r.IP, Method: cmp.Or(r.Method, "POST"), Path: r.Path}
		for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
			q.Headers = append(q.Headers, hook.HeaderField{Name: http.CanonicalHeaderKey(name), Value: r.Headers[name]})
		}
		query := url.Values{}
		for name, value := range r.Query {
			query.Set(name, value)
		}
		q.RawQuery = query.Encode()
		if q.Body.Bytes = []byte(r.RawBody); r.RawBody == "" {
			q.Body.Bytes = r.Body
		}
		t.n.actions.Remember(q)
	}
	a, err := t.n.worker.Test(ctx, target, e, source)
	switch {
	case err != nil:
		return nil, err
	case a.Skip == hook.ReasonConditionError:
		return nil, hook.Errorf(hook.KindInvalidState, "nothing ran: the condition cannot be evaluated: %s", a.Error)
	case a.Skip != hook.ReasonNone:
		return nil, hook.Errorf(hook.KindInvalidState, "nothing ran: the condition is false for what you gave it")
	}
	return &a, nil
}
