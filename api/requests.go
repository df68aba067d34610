package api

import (
	"bytes"
	"cmp"
	"context"
	"strconv"
	"time"

	"github.com/oapi-codegen/nullable"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

// requestURL is path and query as they were received, with a mark where something is hidden.
func requestURL(r *hook.Request) string {
	if r.RawQuery == "" {
		return r.Path
	}
	return r.Path + "?" + r.RawQuery
}

// offset is how far a clock is off, with its sign.
func offset(d *time.Duration) nullable.Nullable[string] {
	switch {
	case d == nil:
		return nullable.NewNullNullable[string]()
	case *d < 0:
		return nullable.NewNullableWithValue("-" + hook.FormatDuration(-*d))
	}
	return nullable.NewNullableWithValue(hook.FormatDuration(*d))
}

func requestJSON(r *hook.RequestView) gen.InboundRequest {
	out := gen.InboundRequest{
		Id: r.ID, IncomingWebhook: nullable.NewNullNullable[gen.IncomingWebhookRef](), Code: r.Code, ReceivedAt: wire.At(r.ReceivedAt()), DurationMs: ms(r.Duration),
		Method: r.Method, Url: requestURL(&r.Request), ClientAddress: r.ClientAddress, PeerAddress: r.PeerAddress, ForwardedBy: orNull(r.ForwardedBy),
		Verdict: gen.Verdict(r.Verdict), Reason: orNull(r.Reason), ClockOffset: offset(r.ClockOffset), Response: gen.DoorAnswer{Status: r.Status},
		Hops: r.Hops, EventCount: r.Events, DeliveryCount: r.Deliveries, Expansion: nullable.NewNullNullable[gen.Expansion](),
		DuplicateOf: orNull(r.DuplicateOf), ReplayOf: orNull(r.ReplayOf),
	}
	if r.Incoming != hook.NoID {
		out.IncomingWebhook = nullable.NewNullableWithValue(gen.IncomingWebhookRef{Id: r.Incoming, Code: r.IncomingCode, Name: r.IncomingName})
	}
	if e := r.Expansion; e != nil {
		out.Expansion = nullable.NewNullableWithValue(expansionJSON(e))
	}
	return out
}

func expansionJSON(e *hook.Expansion) gen.Expansion {
	out := gen.Expansion{Total: e.Total, Done: e.Done, State: gen.ExpansionStateRunning, StateReason: orNull(""), NextAttemptAt: timeOrNull(nil)}
	if !e.Working {
		out.State, out.StateReason = gen.ExpansionStateWaiting, orNull(cmp.Or(e.Reason, string(hook.ReasonQueued)))
		out.NextAttemptAt = timeOrNull(&e.RetryAt)
	}
	return out
}

func checksJSON(checks []hook.Check) []gen.Check {
	out := make([]gen.Check, 0, len(checks))
	for _, c := range checks {
		out = append(out, gen.Check{Check: c.Name, Result: gen.CheckResult(c.Result), Detail: given(c.Detail)})
	}
	return out
}

// requestContentJSON shows a call with its content and what it led to.
func requestContentJSON(r *hook.RequestView) gen.InboundRequestWithContent {
	row := requestJSON(r)
	text, encoding := bodyText(r.Body)
	out := gen.InboundRequestWithContent{
		Id: row.Id, IncomingWebhook: row.IncomingWebhook, Code: row.Code, ReceivedAt: row.ReceivedAt, DurationMs: row.DurationMs, Method: row.Method, Url: row.Url,
		ClientAddress: row.ClientAddress, PeerAddress: row.PeerAddress, ForwardedBy: row.ForwardedBy, Verdict: row.Verdict, Reason: row.Reason,
		ClockOffset: row.ClockOffset, Response: row.Response, Hops: row.Hops, EventCount: row.EventCount, DeliveryCount: row.DeliveryCount,
		Expansion: row.Expansion, DuplicateOf: row.DuplicateOf, ReplayOf: row.ReplayOf,
		Headers: headersJSON(r.Headers), Checks: checksJSON(r.Checks), Events: make([]string, 0, len(r.EventIDs)),
		Deliveries: make([]gen.RequestDelivery, 0, len(r.DeliveryViews)), States: make(map[string]int, len(r.States)),
		Body: text, BodyEncoding: gen.InboundRequestWithContentBodyEncoding(encoding), BodyBytes: r.Body.Size, BodyTruncated: r.Body.Truncated, BodySha256: bodyHash(r.Body),
	}
	for _, id := range r.EventIDs {
		out.Events = append(out.Events, id.String())
	}
	for i := range r.DeliveryViews {
		d := deliveryJSON(&r.DeliveryViews[i])
		out.Deliveries = append(out.Deliveries, gen.RequestDelivery{Id: d.Id, Target: d.Target, State: d.State, StateReason: d.StateReason})
	}
	for state, n := range r.States {
		out.States[string(state)] = n
	}
	return out
}

// requests answers one page, of the caller's workspace and time.
func (s *Server) requests(ctx context.Context, cl *call, f hook.RequestFilter, verdicts *gen.Verdicts, reasons *gen.Reasons) (gen.InboundRequestList, error) {
	f.Workspace, f.Since, f.Until = cl.principal.Workspace, cl.since, cl.until
	if verdicts != nil {
		for _, v := range *verdicts {
			f.Verdicts = append(f.Verdicts, hook.Verdict(v))
		}
	}
	if reasons != nil {
		f.Reasons = *reasons
	}
	rows, more, err := s.services.Requests.Requests(ctx, f, cl.page)
	if err != nil {
		return gen.InboundRequestList{}, err
	}
	data, last := page(rows, func(r hook.RequestView) hook.ID { return r.ID }, func(r hook.RequestView) gen.InboundRequest { return requestJSON(&r) })
	return gen.InboundRequestList{Data: data, NextCursor: cl.nextCursor(more, last)}, nil
}

// incomingID finds an incoming webhook by id or code, see remembered.
func (s *Server) incomingID(ctx context.Context, p hook.Principal, ref string) (id hook.ID, gone, err error) {
	w, err := s.services.Manager.GetIncomingWebhook(ctx, p, ref)
	if err != nil {
		return remembered(ref, err)
	}
	return w.ID, nil, nil
}

// ListRequests searches the calls at all doors.
func (h handlers) ListRequests(ctx context.Context, r gen.ListRequestsRequestObject) (gen.ListRequestsResponseObject, error) {
	cl := callOf(ctx)
	f := hook.RequestFilter{Codes: values(r.Params.Code)}
	if ref := r.Params.IncomingWebhook; ref != nil {
		id, _, err := h.s.incomingID(ctx, cl.principal, *ref)
		if err != nil {
			return nil, err
		}
		f.Incoming = id
	}
	list, err := h.s.requests(ctx, cl, f, r.Params.Verdict, r.Params.Reason)
	if err != nil {
		return nil, err
	}
	return gen.ListRequests200JSONResponse{Body: list}, nil
}

// ListIncomingWebhookRequests answers one page of the calls at one door. Those of a
// deleted one can still be read by its id.
func (h handlers) ListIncomingWebhookRequests(ctx context.Context, r gen.ListIncomingWebhookRequestsRequestObject) (gen.ListIncomingWebhookRequestsResponseObject, error) {
	cl := callOf(ctx)
	id, gone, err := h.s.incomingID(ctx, cl.principal, r.IncomingWebhook)
	if err != nil {
		return nil, err
	}
	list, err := h.s.requests(ctx, cl, hook.RequestFilter{Incoming: id}, r.Params.Verdict, r.Params.Reason)
	if err != nil {
		return nil, err
	}
	if gone != nil && len(list.Data) == 0 && cl.page.After == hook.NoID {
		return nil, gone
	}
	return gen.ListIncomingWebhookRequests200JSONResponse{Body: list}, nil
}

// GetRequest answers one call with its content.
func (h handlers) GetRequest(ctx context.Context, r gen.GetRequestRequestObject) (gen.GetRequestResponseObject, error) {
	view, err := h.s.services.Requests.Request(ctx, callOf(ctx).principal.Workspace, r.Call)
	if err != nil {
		return nil, err
	}
	return gen.GetRequest200JSONResponse{Body: requestContentJSON(&view)}, nil
}

// GetRequestBody answers the bytes that came.
func (h handlers) GetRequestBody(ctx context.Context, r gen.GetRequestBodyRequestObject) (gen.GetRequestBodyResponseObject, error) {
	view, err := h.s.services.Requests.Request(ctx, callOf(ctx).principal.Workspace, r.Call)
	if err != nil {
		return nil, err
	}
	return gen.GetRequestBody200ApplicationoctetStreamResponse{RawBodyApplicationoctetStreamResponse: attachment(view.Body, "request-"+view.ID.String())}, nil
}

// attachment serves bytes that somebody else chose: never as something a browser runs.
func attachment(b hook.Body, name string) gen.RawBodyApplicationoctetStreamResponse {
	return gen.RawBodyApplicationoctetStreamResponse{
		Body: bytes.NewReader(b.Bytes), ContentLength: int64(len(b.Bytes)),
		Headers: gen.RawBodyResponseHeaders{
			ContentDisposition:     ptr(`attachment; filename="` + name + `.bin"`),
			XContentTypeOptions:    ptr("nosniff"),
			SallyportBodyTruncated: ptr(strconv.FormatBool(b.Truncated)),
		},
	}
}

// ReplayRequest runs a call again.
func (h handlers) ReplayRequest(ctx context.Context, r gen.ReplayRequestRequestObject) (gen.ReplayRequestResponseObject, error) {
	cl := callOf(ctx)
	made, err := h.s.services.Doors.Replay(ctx, cl.principal, r.Call, cl.request)
	if err != nil {
		return nil, err
	}
	return gen.ReplayRequest202JSONResponse{
		Body:    gen.DoorReceipt{RequestId: made.ID, Events: made.Events, Deliveries: made.Deliveries},
		Headers: gen.ReplayRequest202ResponseHeaders{Location: h.s.location("requests", made.ID.String())},
	}, nil
}

// VerifyRequest answers what would become of a call now.
func (h handlers) VerifyRequest(ctx context.Context, r gen.VerifyRequestRequestObject) (gen.VerifyRequestResponseObject, error) {
	verdict, reason, checks, err := h.s.services.Doors.Verify(ctx, callOf(ctx).principal, r.Call)
	if err != nil {
		return nil, err
	}
	return gen.VerifyRequest200JSONResponse{Body: gen.Verification{Verdict: gen.Verdict(verdict), Reason: orNull(reason), Checks: checksJSON(checks)}}, nil
}
