package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"unicode/utf8"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

// attemptView is what showing an attempt depends on, beside the attempt.
type attemptView struct {
	curl func(r *hook.SentRequest, user string) string // nil: no command
	user string                                        // of basic authentication
	mask bool                                          // the URL is a credential and the caller a viewer
}

// attemptView looks at the target as it is now. What is deleted is masked for viewers:
// nobody knows any more whether it has to be.
func (s *Server) attemptView(ctx context.Context, p hook.Principal, kind hook.TargetKind, target hook.ID) (attemptView, error) {
	v := attemptView{curl: s.options.Curl}
	if kind != hook.TargetWebhook {
		return v, nil
	}
	w, err := s.services.Manager.GetWebhook(ctx, p, target.String())
	if err != nil && hook.KindOf(err) != hook.KindNotFound {
		return v, err
	}
	if w.Webhook == nil || err != nil {
		v.mask = p.Role == hook.RoleViewer
		return v, nil //nolint:nilerr // that it is not there is what was asked
	}
	v.mask = w.URLSecret && p.Role == hook.RoleViewer
	if w.BasicAuth != nil {
		v.user = w.BasicAuth.Username
	}
	return v, nil
}

func (v attemptView) json(a *hook.Attempt) gen.Attempt {
	out := gen.Attempt{
		Id: a.ID, DeliveryId: a.Delivery, Number: a.Number, Trigger: gen.AttemptTrigger(a.Trigger),
		StartedAt: wire.At(a.StartedAt), DurationMs: ms(a.Timings.Total), Outcome: gen.Outcome(a.Outcome),
		ErrorClass: orNull(string(a.ErrorClass)), Error: orNull(a.Error), RemoteAddress: orNull(a.RemoteAddress), Node: a.Node,
		Action: some[gen.AttemptAction](nil), Request: some[gen.SentRequest](nil), Response: some[gen.ReceivedResponse](nil), Curl: orNull(""),
		Timings: gen.Timings{
			DnsMs: ms(a.Timings.DNS), ConnectMs: ms(a.Timings.Connect), TlsMs: ms(a.Timings.TLS),
			FirstByteMs: ms(a.Timings.FirstByte), TotalMs: ms(a.Timings.Total),
		},
		ReusedConnection: a.Reused,
	}
	if r := a.Action; r != nil {
		out.Action = some(&gen.AttemptAction{Id: orNull(r.ID), Code: r.Code, Type: string(r.Type), Step: r.Step})
	}
	if a.Request != nil {
		r := *a.Request
		if v.mask {
			r.URL = maskURL(r.URL)
		}
		text, encoding := bodyText(r.Body)
		out.Request = some(&gen.SentRequest{
			Method: r.Method, Url: r.URL, Headers: headersJSON(r.Headers),
			Body: text, BodyEncoding: gen.SentRequestBodyEncoding(encoding), BodyBytes: r.Body.Size, BodyTruncated: r.Body.Truncated, BodySha256: bodyHash(r.Body),
		})
		if v.curl != nil && (a.Action == nil || a.Action.Type == hook.ActionHTTPRequest) {
			out.Curl = orNull(v.curl(&r, v.user))
		}
	}
	if r := a.Response; r != nil {
		text, encoding := bodyText(r.Body)
		out.Response = some(&gen.ReceivedResponse{
			Status: r.Status, Headers: headersJSON(r.Headers),
			Body: text, BodyEncoding: gen.ReceivedResponseBodyEncoding(encoding), BodyBytes: r.Body.Size, BodyTruncated: r.Body.Truncated, BodySha256: bodyHash(r.Body),
		})
	}
	return out
}

// bodyText is a body as JSON can carry it. Of a body that was cut within a character
// the remains of that character do not make it binary.
func bodyText(b hook.Body) (text, encoding string) {
	whole := b.Bytes
	for n := 1; b.Truncated && n < utf8.UTFMax && n <= len(whole); n++ {
		if last := whole[len(whole)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole = whole[:len(whole)-n]
			}
			break
		}
	}
	if utf8.Valid(whole) {
		return string(whole), "utf8"
	}
	return base64.StdEncoding.EncodeToString(b.Bytes), "base64"
}

func bodyHash(b hook.Body) string {
	if b.SHA256 != nil {
		return hex.EncodeToString(b.SHA256)
	}
	sum := sha256.Sum256(b.Bytes)
	return hex.EncodeToString(sum[:])
}

func headersJSON(fields []hook.HeaderField) []gen.HeaderField {
	out := make([]gen.HeaderField, 0, len(fields))
	for _, f := range fields {
		if f.Redacted {
			out = append(out, gen.HeaderField{Name: f.Name, Redacted: ptr(true)})
		} else {
			out = append(out, gen.HeaderField{Name: f.Name, Value: ptr(f.Value)})
		}
	}
	return out
}
