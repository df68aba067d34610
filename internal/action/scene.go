package action

import (
	"context"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/template"
)

// uses says which values a configuration's templates refer to, so that the others need not be made.
type uses uint8

const (
	usesRequest uses = 1 << iota
	usesBody         // of the request, parsed
	usesItem
	usesEvent
	usesDoor
)

var names = []struct {
	name string
	uses uses
}{{"request", usesRequest}, {"item", usesItem}, {"event", usesEvent}, {"webhook", usesDoor}}

func usesOf(source string) uses {
	if strings.Contains(source, "_context") {
		return usesRequest | usesBody | usesItem | usesEvent | usesDoor
	}
	var u uses
	for _, n := range names {
		if strings.Contains(source, n.name) {
			u |= n.uses
		}
	}
	if u&usesRequest != 0 && (strings.Contains(source, "body") || wholeRequest(source)) {
		u |= usesBody
	}
	return u
}

// wholeRequest reports whether a source takes the request other than by request.name.
func wholeRequest(source string) bool {
	for {
		_, rest, ok := strings.Cut(source, "request")
		if !ok {
			return false
		}
		if !strings.HasPrefix(rest, ".") {
			return true
		}
		source = rest
	}
}

// scene is what the templates of one delivery see.
type scene struct {
	x         *Executor
	workspace hook.ID
	job       *hook.Job
	event     *hook.Event
	number    int // of the attempt
	now       time.Time

	asked     bool // for the request
	request   *hook.Request
	doorAsked bool
	door      *hook.IncomingWebhook
	itemSeen  any
	itemRead  bool
}

func (s *scene) options() template.Options { return template.Options{Now: s.now} }

// nowLayout is how templates see times.
const nowLayout = "2006-01-02T15:04:05.000Z07:00"

// values makes what templates see.
func (s *scene) values(ctx context.Context, u uses, secrets values) (values, error) {
	v := template.NewMap()
	if u&usesRequest != 0 {
		request, err := s.readRequest(ctx, u&usesBody != 0)
		if err != nil {
			return nil, err
		}
		v.Set("request", request)
	}
	if u&(usesItem|usesEvent) != 0 {
		v.Set("item", s.item())
	}
	if u&usesEvent != 0 {
		v.Set("event", EventValues(s.event, s.item()))
	}
	if u&usesDoor != 0 {
		door, err := s.findDoor(ctx)
		if err != nil {
			return nil, err
		}
		v.Set("webhook", DoorValues(door))
	}
	return v.Set("secrets", secrets).Set("now", s.now.UTC().Format(nowLayout)), nil
}

func (s *scene) item() any {
	if !s.itemRead {
		s.itemRead = true
		if s.event.Entity != nil {
			if v, err := template.DecodeJSON(s.event.Entity); err == nil {
				s.itemSeen = v
			}
		}
	}
	return s.itemSeen
}

// findDoor returns the door through which the request came, nil if none did.
func (s *scene) findDoor(ctx context.Context) (*hook.IncomingWebhook, error) {
	if s.doorAsked {
		return s.door, nil
	}
	id := hook.NoID
	switch {
	case s.job.Delivery.TargetKind == hook.TargetIncoming:
		id = s.job.Delivery.Target
	case s.event.Source.Kind == hook.SourceIncoming:
		id = s.event.Source.ID
	case s.event.InboundRequest() != hook.NoID:
		if err := s.findRequest(ctx); err != nil {
			return nil, err
		}
		if s.request != nil {
			id = s.request.Incoming
		}
	}
	if id != hook.NoID && s.x.cfg.Catalog != nil {
		door, err := s.x.cfg.Catalog.Door(ctx, s.workspace, id)
		if err != nil {
			return nil, err
		}
		s.door = door
	}
	s.doorAsked = true
	return s.door, nil
}

func (s *scene) findRequest(ctx context.Context) error {
	if s.asked {
		return nil
	}
	r, err := s.x.request(ctx, s.workspace, s.event.InboundRequest())
	if err != nil {
		return err
	}
	s.request, s.asked = r, true
	return nil
}

// readRequest returns the request as templates see it, nil if there is none.
func (s *scene) readRequest(ctx context.Context, withBody bool) (any, error) {
	if err := s.findRequest(ctx); err != nil || s.request == nil {
		return nil, err
	}
	door, err := s.findDoor(ctx)
	if err != nil {
		return nil, err
	}
	key := readingKey{request: s.request.ID, body: withBody}
	parser := hook.DefaultParser()
	if door != nil {
		parser, key.door, key.version = door.Parser, door.ID, door.Version
	}
	return s.x.readings.of(key, requestBytes(s.request), func() *template.Array {
		return RequestValues(s.request, s.parsed(parser, withBody))
	}), nil
}

// parsed is the request's body as the door's parser reads it. What cannot be read is refused
// at the door; a parser that was changed since may find otherwise, and the body is then null.
func (s *scene) parsed(parser hook.Parser, wanted bool) any {
	if !wanted || s.x.cfg.Bodies == nil {
		return nil
	}
	text, err := s.x.cfg.Bodies.Body(parser, s.request)
	if err != nil {
		return nil
	}
	body, err := template.DecodeJSON(text)
	if err != nil {
		return nil
	}
	return body
}

// RequestValues is a request as templates see it; body is the parsed one. Credentials that
// were taken out of it are not there at all.
func RequestValues(r *hook.Request, body any) *template.Array {
	headers := template.NewFolded()
	for _, h := range r.Headers {
		if h.Redacted {
			continue
		}
		if old, ok := headers.Get(h.Name); ok {
			headers.Set(h.Name, old.(string)+", "+h.Value)
		} else {
			headers.Set(h.Name, h.Value)
		}
	}
	return template.NewMap().Set("id", r.ID.String()).Set("ip", r.ClientAddress).Set("method", r.Method).Set("path", r.Path).
		Set("headers", headers).Set("query", queryValues(r.ShownQuery())).
		Set("rawBody", string(r.Body.Bytes)).Set("body", body)
}

// queryValues is a query in the order it came. Of a repeated name the last value counts, as
// in PHP; those of name[] are a list.
func queryValues(raw string) *template.Array {
	query := template.NewMap()
	lists := map[string][]string{}
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, value = unescapeQuery(name), unescapeQuery(value)
		base, isList := strings.CutSuffix(name, "[]")
		switch {
		case isList:
			lists[base] = append(lists[base], value)
			query.Set(base, lists[base])
		default:
			query.Set(name, value)
		}
	}
	return query
}

func unescapeQuery(s string) string {
	if out, err := url.QueryUnescape(s); err == nil {
		return out
	}
	return s
}

// EventValues is an event as templates see it; entity is its decoded entity.
func EventValues(e *hook.Event, entity any) *template.Array {
	v := template.NewMap().Set("id", e.ID).Set("type", e.Type)
	switch {
	case e.EntityID.IsZero():
		v.Set("entityId", nil)
	case e.EntityID.Number:
		v.Set("entityId", template.Number(e.EntityID.Text))
	default:
		v.Set("entityId", e.EntityID.Text)
	}
	v.Set("entity", entity).Set("entityUrl", nil)
	if e.EntityURL != "" {
		v.Set("entityUrl", e.EntityURL)
	}
	return v.Set("timestamp", e.Timestamp.UTC().Format(nowLayout))
}

// DoorValues is a door as templates see it; nil becomes null.
func DoorValues(w *hook.IncomingWebhook) any {
	if w == nil {
		return nil
	}
	return template.NewMap().Set("id", w.ID.String()).Set("code", w.Code).Set("name", w.Name)
}
