package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"sallyport/gen"
	"sallyport/internal/hook"
)

const (
	// streamHeartbeat is how long a stream says nothing: shorter than proxies let connections
	// idle, so that silence means that the connection is gone.
	streamHeartbeat = 15 * time.Second
	// streamCheck is how soon a stream notices that its key may not read any more.
	streamCheck = 2 * time.Second
	// streamWrite is how long a reader may take for one page before it is let go: it comes
	// back with its cursor.
	streamWrite = 30 * time.Second
	// streamRetry is when a client that was cut off comes back.
	streamRetry = time.Second

	// A page of a stream is all that is held for its reader.
	streamEvents = 100
	streamBytes  = 256 << 10
	// pollBytes bounds a page that is asked for.
	pollBytes = 1 << 20
	maxWait   = time.Minute
)

// StreamEvents follows what is accepted, as server-sent events or by polling.
func (h handlers) StreamEvents(ctx context.Context, r gen.StreamEventsRequestObject) (gen.StreamEventsResponseObject, error) {
	cl := callOf(ctx)
	polling := accepts(cl.http.Header.Values("Accept"), "application/json") && !accepts(cl.http.Header.Values("Accept"), "text/event-stream")
	wait, err := streamWait(r.Params, polling)
	if err != nil {
		return nil, err
	}
	q := hook.StreamQuery{Workspace: cl.principal.Workspace, EventTypes: values(r.Params.EventTypes)}
	for _, p := range q.EventTypes {
		if !hook.IsEventPattern(p) {
			return nil, invalidParameter("eventTypes", strconv.Quote(p)+" is neither a name nor a pattern such as order.* with the star as last segment")
		}
	}
	if r.Params.Webhook != nil {
		q.Webhook = *r.Params.Webhook
	}
	if r.Params.Since != nil {
		q.Since = r.Params.Since.Time
	}
	if text := cursorOf(r.Params); text != "" {
		from, err := decodePosition(text, cl.principal.Workspace)
		if err != nil {
			return nil, err
		}
		q.From = &from
	}
	s, err := h.s.services.Streams.Open(ctx, q)
	if err != nil {
		return nil, err
	}
	a := &following{s: h.s, stream: s, workspace: cl.principal.Workspace, call: cl.http, checked: time.Now()}
	if polling {
		defer s.Close()
		return a.poll(ctx, wait, cl.page.Limit)
	}
	return a, nil
}

// cursorOf is where to go on; a browser that reconnects repeats its query beside the header.
func cursorOf(p gen.StreamEventsParams) string {
	if p.LastEventID != nil && *p.LastEventID != "" {
		return *p.LastEventID
	}
	if p.Cursor != nil {
		return *p.Cursor
	}
	return ""
}

func streamWait(p gen.StreamEventsParams, polling bool) (time.Duration, error) {
	switch {
	case !polling && p.Wait != nil:
		return 0, invalidParameter("wait", "wait is for polling; send Accept: application/json")
	case !polling && p.Limit != nil:
		return 0, invalidParameter("limit", "limit is for polling; send Accept: application/json")
	case p.Wait == nil:
		return 0, nil
	}
	wait, err := hook.ParseDuration(*p.Wait)
	if err != nil || wait < 0 || wait > maxWait {
		return 0, invalidParameter("wait", "wait must be a duration of at most 60s, such as 25s")
	}
	return wait, nil
}

// accepts reports whether an Accept header names a media type.
func accepts(values []string, media string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if mediaType(part) == media {
				return true
			}
		}
	}
	return false
}

// positionBytes is the length of a position in a cursor: row, index, key.
const positionBytes = 8 + 4 + 16

// maxIndex is more than the events of any one transaction, and small enough to count from.
const maxIndex = 1 << 24

func logOf(workspace hook.ID) string { return "stream\n" + workspace.String() }

func encodePosition(p hook.Position, workspace hook.ID) string {
	b := make([]byte, 0, positionBytes+cursorHash)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Seq))
	b = binary.BigEndian.AppendUint32(b, uint32(p.Index))
	return encodeCursor(append(b, p.Key[:]...), logOf(workspace))
}

func decodePosition(text string, workspace hook.ID) (hook.Position, error) {
	whole, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(whole) != positionBytes+cursorHash {
		return hook.Position{}, invalidCursor("the cursor is none of the stream's; send an id or a nextCursor of it")
	}
	b, err := decodeCursor(text, logOf(workspace))
	if err != nil {
		return hook.Position{}, invalidCursor("the cursor belongs to another workspace")
	}
	p := hook.Position{Seq: int64(binary.BigEndian.Uint64(b)), Index: int(binary.BigEndian.Uint32(b[8:]))}
	copy(p.Key[:], b[12:])
	if p.Seq < 0 || p.Index > maxIndex || (p.Seq == 0) != (p.Index == 0) {
		return hook.Position{}, invalidCursor("the cursor is none of the stream's; send an id or a nextCursor of it")
	}
	return p, nil
}

// following is an answer that goes on.
type following struct {
	s         *Server
	stream    Stream
	workspace hook.ID
	call      *http.Request
	checked   time.Time
}

// allowed asks now and then whether the key may still read.
func (f *following) allowed() error {
	if time.Since(f.checked) < streamCheck {
		return nil
	}
	f.checked = time.Now()
	p, err := f.s.admit(f.call, "StreamEvents", f.call.Header.Get("Sallyport-Workspace"))
	switch kind := hook.KindOf(err); {
	case err == nil && p.Workspace != f.workspace:
		return hook.Errorf(hook.KindNotFound, "the workspace is another one now")
	case kind == hook.KindUnauthorized, kind == hook.KindKeyExpired, kind == hook.KindForbidden, kind == hook.KindWorkspaceDenied, kind == hook.KindNotFound:
		return err
	}
	return nil // what cannot be found out now does not end it
}

// next waits for events, in steps in which the key is looked at.
func (f *following) next(ctx context.Context, wait time.Duration, limit, maxBytes int) (hook.StreamPage, error) {
	end := time.Now().Add(wait)
	for {
		page, err := f.stream.Next(ctx, min(streamCheck, max(0, time.Until(end))), limit, maxBytes)
		if err == nil {
			err = f.allowed()
		}
		if err != nil || len(page.Events) > 0 || ctx.Err() != nil || !time.Now().Before(end) {
			return page, err
		}
	}
}

func (f *following) poll(ctx context.Context, wait time.Duration, limit int) (gen.StreamEventsResponseObject, error) {
	page, err := f.next(ctx, wait, limit, pollBytes)
	if err != nil {
		return nil, err
	}
	body := []byte(`{"data":[`)
	for i := range page.Events {
		if i > 0 {
			body = append(body, ',')
		}
		if body, err = appendEvent(body, &hook.EventView{Event: page.Events[i].Event}); err != nil {
			return nil, err
		}
	}
	body = append(body, `],"nextCursor":`...)
	body = append(strconv.AppendQuote(body, encodePosition(page.Next, f.workspace)), '}')
	return polled(body), nil
}

// polled writes a page with entities as exactly the bytes received.
type polled []byte

// VisitStreamEventsResponse writes the answer.
func (p polled) VisitStreamEventsResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, err := w.Write(p)
	return err
}

// VisitStreamEventsResponse writes until the reader or the stream ends.
func (f *following) VisitStreamEventsResponse(w http.ResponseWriter) error {
	defer f.stream.Close()
	ctx := f.call.Context()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold it back
	out := &eventWriter{w: w, control: http.NewResponseController(w)}
	at := f.stream.At()
	out.field("retry", strconv.FormatInt(streamRetry.Milliseconds(), 10))
	out.field("id", encodePosition(at, f.workspace))
	if err := out.flush(); err != nil {
		return nil // the reader has gone
	}
	for {
		page, err := f.next(ctx, min(f.s.options.StreamHeartbeat, time.Second), streamEvents, streamBytes)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if at != page.Next {
				out.field("id", encodePosition(page.Next, f.workspace))
				out.buf.WriteByte('\n')
			}
			return f.end(out, err)
		}
		for i := range page.Events {
			if err := out.event(&page.Events[i], f.workspace); err != nil {
				return err
			}
			at = page.Events[i].At
		}
		switch {
		case at != page.Next: // over what was not asked for
			at = page.Next
			out.field("id", encodePosition(at, f.workspace))
		case len(page.Events) == 0 && time.Since(out.wrote) >= f.s.options.StreamHeartbeat:
			out.comment("")
		}
		if err := out.flush(); err != nil {
			return nil // the reader has gone
		}
	}
}

// end says why a stream ends. A client that comes back then is answered the same, but for a
// node that is stopping.
func (f *following) end(out *eventWriter, why error) error {
	if hook.KindOf(why) == hook.KindShuttingDown {
		out.comment("this node is stopping")
		out.field("retry", strconv.FormatInt(streamRetry.Milliseconds(), 10))
	} else {
		j, _ := f.s.problem(why, out.w.Header().Get(headerRequestID))
		data, err := json.Marshal(j)
		if err != nil {
			return err
		}
		out.field("event", "problem")
		out.data(data)
	}
	if out.flush() == nil { // else the reader has gone
		// The connection may serve other calls, of others even if a proxy keeps it.
		_ = out.control.SetWriteDeadline(time.Time{})
	}
	return why
}

// eventWriter writes server-sent events (WHATWG HTML, section 9.2).
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     bytes.Buffer
	wrote   time.Time
}

func (o *eventWriter) event(e *hook.LoggedEvent, workspace hook.ID) error {
	data, err := appendEvent(nil, &hook.EventView{Event: e.Event})
	if err != nil {
		return err
	}
	o.buf.WriteString("id: " + encodePosition(e.At, workspace) + "\nevent: event\n")
	o.data(data)
	o.buf.WriteByte('\n')
	return nil
}

// data writes lines: those of JSON break between its tokens only.
func (o *eventWriter) data(data []byte) {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		o.buf.WriteString("data: ")
		o.buf.Write(line)
		o.buf.WriteByte('\n')
	}
}

func (o *eventWriter) field(name, value string) { o.buf.WriteString(name + ": " + value + "\n") }

func (o *eventWriter) comment(text string) { o.buf.WriteString(": " + text + "\n") }

// flush ends a message and sends what was written.
func (o *eventWriter) flush() error {
	if o.buf.Len() == 0 {
		return nil
	}
	if !bytes.HasSuffix(o.buf.Bytes(), []byte("\n\n")) {
		o.buf.WriteByte('\n')
	}
	defer o.buf.Reset()
	o.wrote = time.Now()
	// Not every ResponseWriter has deadlines; then the connection's own must do.
	_ = o.control.SetWriteDeadline(o.wrote.Add(streamWrite))
	if _, err := o.w.Write(o.buf.Bytes()); err != nil {
		return err
	}
	return o.control.Flush()
}
