package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"sallyport/api/wire"
	"sallyport/gen/hot"
	"sallyport/internal/hook"
)

// publishing answers the hot operations. They do not pass the guard: what it does with
// maps and schemas is done here by hand.
type publishing struct{ s *Server }

var _ hot.ServerInterface = publishing{}

// jsonOnly is what events come as.
var jsonOnly = []string{"application/json"}

// PublishEvent accepts one event.
func (h publishing) PublishEvent(c echo.Context, params hot.PublishEventParams) error {
	s := h.s
	p, body, err := s.openPublish(c, "PublishEvent", s.options.MaxEventBytes)
	if err != nil {
		return err
	}
	event, err := parseEvent(body)
	if err != nil {
		return err
	}
	if key := params.IdempotencyKey; key != nil {
		if event.ID, err = keyAsID(*key, event.ID); err != nil {
			return err
		}
	}
	receipts, err := s.services.Publisher.Publish(c.Request().Context(), p, requestID(c), []hook.NewEvent{event})
	if err != nil {
		return err
	}
	r := &receipts[0]
	if r.Problem != nil {
		return r.Problem
	}
	header := c.Response().Header()
	header["Location"] = []string{s.prefix + "/v1/events/" + r.ID} // an id needs no escaping
	if r.Duplicate {
		header["Idempotent-Replayed"] = []string{"true"}
	}
	return accepted(c, appendReceipt(make([]byte, 0, 256), r))
}

// PublishEvents accepts a batch, item by item.
func (h publishing) PublishEvents(c echo.Context, params hot.PublishEventsParams) error {
	s := h.s
	p, body, err := s.openPublish(c, "PublishEvents", s.options.MaxBatchBytes)
	if err != nil {
		return err
	}
	items, err := parseBatch(body, s.options.MaxBatchItems, s.options.MaxEventBytes)
	if err != nil {
		return err
	}
	if key := params.IdempotencyKey; key != nil {
		if err := nameItems(items, *key); err != nil {
			return err
		}
	}
	receipts := make([]hook.Receipt, len(items))
	good := make([]hook.NewEvent, 0, len(items))
	places := make([]int, 0, len(items))
	for i := range items {
		switch it := &items[i]; {
		case it.size > s.options.MaxEventBytes:
			receipts[i].Problem = hook.Errorf(hook.KindTooLarge, "an event may have at most %d bytes", s.options.MaxEventBytes)
		case len(it.faults) > 0:
			receipts[i].Problem = hook.Invalid(it.faults)
		default:
			good = append(good, it.event)
			places = append(places, i)
		}
	}
	if len(good) > 0 {
		got, err := s.services.Publisher.Publish(c.Request().Context(), p, requestID(c), good)
		if err != nil {
			return err
		}
		for n, r := range got {
			r.Problem = ofItem(places[n], r.Problem)
			r.Warnings = inItem(places[n], r.Warnings)
			receipts[places[n]] = r
		}
	}
	return s.answerBatch(c, receipts)
}

// ofItem says of a problem of an event, which knows nothing of the batch, where in the batch
// it is.
func ofItem(index int, problem error) error {
	var e *hook.Error
	if !errors.As(problem, &e) {
		return problem
	}
	in := *e
	if in.Field != "" {
		in.Field = join("data["+strconv.Itoa(index)+"]", in.Field)
	}
	in.Faults = inItem(index, in.Faults)
	return &in
}

// inItem is ofItem for faults, of which an item of many has no more than it has of its own.
func inItem(index int, faults []hook.Fault) []hook.Fault {
	in := slices.Clone(faults[:min(len(faults), maxItemFaults)])
	for i, f := range in {
		in[i].Field = join("data["+strconv.Itoa(index)+"]", f.Field)
	}
	return in
}

// openPublish finds out who publishes and reads the body.
func (s *Server) openPublish(c echo.Context, op string, limit int) (hook.Principal, []byte, error) {
	r := c.Request()
	p, err := s.admit(r, op, r.Header.Get("Sallyport-Workspace"))
	if err != nil {
		return p, nil, err
	}
	if r.URL.RawQuery != "" {
		for name := range c.QueryParams() {
			return p, nil, unknownParameter(name, nil)
		}
	}
	if err := checkEncoding(r); err != nil {
		return p, nil, err
	}
	if err := checkMedia(r, jsonOnly); err != nil {
		return p, nil, err
	}
	body, err := readBody(c, limit)
	return p, body, err
}

// readBody reads a body of at most limit bytes, in one piece if its length is known.
func readBody(c echo.Context, limit int) ([]byte, error) {
	r := c.Request()
	switch {
	case r.ContentLength > int64(limit):
		return nil, &http.MaxBytesError{Limit: int64(limit)}
	case r.ContentLength >= 0:
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, readError(err)
		}
		return body, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, int64(limit)))
	if err != nil {
		return nil, readError(err)
	}
	return body, nil
}

// keyAsID lets an Idempotency-Key stand for an event's id.
func keyAsID(key, id string) (string, error) {
	switch {
	case !hook.IsEventID(key):
		return "", invalidParameter("Idempotency-Key", "on publishing, Idempotency-Key stands for the event's id: 1 to 128 letters, digits, _, : and -")
	case id != "" && id != key:
		return "", invalidParameter("Idempotency-Key", "Idempotency-Key and the event's id differ; send one of them, or the same twice")
	}
	return key, nil
}

// nameItems gives item n without an id the id key-n.
func nameItems(items []item, key string) error {
	if !hook.IsEventID(key) || len(key)+1+len(strconv.Itoa(len(items)-1)) > hook.MaxEventID {
		return invalidParameter("Idempotency-Key",
			"on a batch, Idempotency-Key and the number of the item stand for an item's id: letters, digits, _, : and -, together at most 128")
	}
	for n := range items {
		if items[n].event.ID == "" {
			items[n].event.ID = key + "-" + strconv.Itoa(n)
		}
	}
	return nil
}

func accepted(c echo.Context, body []byte) error {
	c.Response().Header()["Content-Type"] = []string{"application/json"}
	c.Response().WriteHeader(http.StatusAccepted)
	_, err := c.Response().Write(body)
	return err
}

// appendReceipt writes a receipt. Ids and types need no escaping.
func appendReceipt(b []byte, r *hook.Receipt) []byte {
	b = append(append(b, `{"id":"`...), r.ID...)
	b = append(append(b, `","type":"`...), r.Type...)
	b = r.AcceptedAt.UTC().AppendFormat(append(b, `","acceptedAt":"`...), wire.Layout)
	b = strconv.AppendInt(append(b, `","matched":`...), int64(r.Matched), 10)
	b = strconv.AppendBool(append(b, `,"duplicate":`...), r.Duplicate)
	if len(r.Warnings) > 0 {
		b = appendWarnings(b, r.Warnings)
	}
	return append(b, '}')
}

// appendWarnings writes the member that few receipts have.
func appendWarnings(b []byte, faults []hook.Fault) []byte {
	text, err := json.Marshal(faultsJSON(faults))
	if err != nil {
		return b // cannot be: texts always encode
	}
	return append(append(b, `,"warnings":`...), text...)
}

// answerBatch tells what became of each item: 202 if one was accepted or known, else
// the problem of the whole.
func (s *Server) answerBatch(c echo.Context, receipts []hook.Receipt) error {
	var taken, known, refused int
	for i := range receipts {
		switch r := &receipts[i]; {
		case r.Problem != nil:
			refused++
		case r.Duplicate:
			known++
		default:
			taken++
		}
	}
	if taken+known == 0 {
		return wholeRefused(receipts)
	}
	if taken == 0 && refused == 0 {
		c.Response().Header().Set("Idempotent-Replayed", "true")
	}
	b := make([]byte, 0, 64+192*len(receipts))
	b = strconv.AppendInt(append(b, `{"accepted":`...), int64(taken), 10)
	b = strconv.AppendInt(append(b, `,"duplicates":`...), int64(known), 10)
	b = strconv.AppendInt(append(b, `,"rejected":`...), int64(refused), 10)
	b = append(b, `,"data":[`...)
	for i := range receipts {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = s.appendItem(b, c, i, &receipts[i]); err != nil {
			return err
		}
	}
	return accepted(c, append(b, "]}"...))
}

func (s *Server) appendItem(b []byte, c echo.Context, index int, r *hook.Receipt) ([]byte, error) {
	b = strconv.AppendInt(append(b, `{"index":`...), int64(index), 10)
	if r.Problem != nil {
		if hook.KindOf(r.Problem) == hook.KindInternal {
			s.log.ErrorContext(c.Request().Context(), "publish.item_failed", "request_id", c.Response().Header().Get(headerRequestID), "index", index, "error", r.Problem)
		}
		j, _ := s.problem(r.Problem, c.Response().Header().Get(headerRequestID))
		text, err := json.Marshal(j)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"status":"rejected","problem":`...), text...)
		return append(b, '}'), nil
	}
	if r.Duplicate {
		b = append(b, `,"status":"duplicate","receipt":`...)
	} else {
		b = append(b, `,"status":"accepted","receipt":`...)
	}
	return append(appendReceipt(b, r), '}'), nil
}

// wholeRefused makes one problem of those of all items: the store's if it was the
// reason for one, else a validation error with the fault of each.
func wholeRefused(receipts []hook.Receipt) error {
	var faults []hook.Fault
	for i := range receipts {
		problem := receipts[i].Problem
		kind := hook.KindOf(problem)
		if status := problemOf(kind).Status; status >= 500 || status == http.StatusTooManyRequests {
			return problem
		}
		var e *hook.Error
		errors.As(problem, &e)
		at := "data[" + strconv.Itoa(i) + "]"
		if e == nil || len(e.Faults) == 0 {
			detail := ""
			if e != nil {
				detail = e.Detail
			}
			faults = append(faults, hook.Fault{Field: at, Code: string(kind), Detail: detail})
			continue
		}
		faults = append(faults, e.Faults...)
	}
	return hook.Invalid(faults)
}
