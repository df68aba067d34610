package send

import (
	"strings"
	"unicode/utf8"

	"sallyport/internal/hook"
)

// maxCurlBody is the longest body that is put on the command line: Linux takes 128 KiB for
// one argument.
const maxCurlBody = 100 << 10

// Curl returns a shell command that sends a recorded request again. What was redacted stands
// in it as a shell variable named for the header, and the password of basic authentication
// as $PASSWORD; user is its user name, "" if the webhook has none. A body that is not kept
// whole, is not text, or is too long for a command line is read from the file request-body:
// fetch it from the history first.
func Curl(r *hook.SentRequest, user string) string {
	var b strings.Builder
	b.WriteString("curl")
	if strings.ContainsAny(r.URL, "[]{}") {
		b.WriteString(" -g") // no globbing
	}
	b.WriteString(" -X " + quote(r.Method) + " " + quote(r.URL))
	hasType := false
	for _, h := range r.Headers {
		switch name := strings.ToLower(h.Name); {
		case name == "host" || name == "content-length" || name == "connection":
			continue // curl sets them
		case name == "content-type":
			hasType = true
		case name == "authorization" && h.Redacted && user != "":
			b.WriteString(" -u " + quoteWithVariable(user+":", "PASSWORD"))
			continue
		}
		switch {
		case h.Redacted:
			b.WriteString(" -H " + quoteWithVariable(h.Name+": ", variable(h.Name)))
		case h.Value == "":
			b.WriteString(" -H " + quote(h.Name+";")) // curl's spelling of an empty value
		default:
			b.WriteString(" -H " + quote(h.Name+": "+h.Value))
		}
	}
	if r.Body.Size == 0 {
		return b.String()
	}
	if !hasType {
		b.WriteString(" -H 'Content-Type:'") // or curl would invent one
	}
	body := r.Body.Bytes
	if r.Body.Truncated || len(body) > maxCurlBody || !utf8.Valid(body) || strings.ContainsRune(string(body), 0) {
		b.WriteString(" --data-binary @request-body")
	} else {
		b.WriteString(" --data-raw " + quote(string(body)))
	}
	return b.String()
}

// quote makes one shell word of s.
func quote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// quoteWithVariable makes one shell word of text followed by a variable's value.
func quoteWithVariable(text, name string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(text) {
		if strings.IndexByte("\"\\$`", c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	b.WriteString("$" + name + `"`)
	return b.String()
}

// variable names a shell variable for a header.
func variable(header string) string {
	if header != "" && header[0] >= '0' && header[0] <= '9' {
		header = "_" + header
	}
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
