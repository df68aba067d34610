package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"sallyport/api/wire"
	"sallyport/gen"
	"sallyport/internal/hook"
)

func attemptJSON(a *hook.Attempt) gen.Attempt {
	out := gen.Attempt{
		Id: a.ID, DeliveryId: a.Delivery, Number: a.Number, Trigger: gen.AttemptTrigger(a.Trigger),
		StartedAt: wire.At(a.StartedAt), DurationMs: ms(a.Timings.Total), Outcome: gen.Outcome(a.Outcome),
		ErrorClass: orNull(string(a.ErrorClass)), Error: orNull(a.Error), RemoteAddress: orNull(a.RemoteAddress), Node: a.Node,
		Request: some[gen.SentRequest](nil), Response: some[gen.ReceivedResponse](nil), Curl: orNull(""),
		Timings: gen.Timings{
			DnsMs: ms(a.Timings.DNS), ConnectMs: ms(a.Timings.Connect), TlsMs: ms(a.Timings.TLS),
			FirstByteMs: ms(a.Timings.FirstByte), TotalMs: ms(a.Timings.Total),
		},
		ReusedConnection: a.Reused,
	}
	if r := a.Request; r != nil {
		text, encoding := bodyText(r.Body)
		out.Request = some(&gen.SentRequest{
			Method: r.Method, Url: r.URL, Headers: headersJSON(r.Headers),
			Body: text, BodyEncoding: gen.SentRequestBodyEncoding(encoding), BodyBytes: r.Body.Size, BodyTruncated: r.Body.Truncated, BodySha256: bodyHash(r.Body),
		})
		out.Curl = orNull(curl(r))
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

// maxInline bounds the body within a curl command; a longer one is to be fetched.
const maxInline = 4 << 10

// curl writes a request as a command for sh. Values that were not kept are variables.
func curl(r *hook.SentRequest) string {
	var b strings.Builder
	b.WriteString("curl -X " + shell(r.Method) + " " + shell(r.URL))
	for _, h := range r.Headers {
		switch {
		case strings.EqualFold(h.Name, "Content-Length"), strings.EqualFold(h.Name, "Host"), strings.EqualFold(h.Name, "Accept-Encoding"):
		case h.Redacted:
			b.WriteString(" -H " + shell(h.Name+": ") + `"$` + variable(h.Name) + `"`)
		default:
			b.WriteString(" -H " + shell(h.Name+": "+h.Value))
		}
	}
	text, encoding := bodyText(r.Body)
	switch {
	case r.Body.Size == 0:
	case encoding == "utf8" && !r.Body.Truncated && len(text) <= maxInline:
		b.WriteString(" --data-raw " + shell(text))
	default:
		b.WriteString(" --data-binary @body")
	}
	return b.String()
}

// shell quotes s for sh where it needs that.
func shell(s string) string {
	for i := range len(s) {
		if c := s[i]; !isWord(c) && !strings.ContainsRune("./:@%+=,", rune(c)) {
			return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
		}
	}
	return s
}

// variable makes a header's name the name of a variable.
func variable(header string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, header)
}
