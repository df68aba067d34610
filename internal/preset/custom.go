package preset

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
)

// maxTolerance bounds how old a signature may be: what is accepted for longer could as well
// be signed without a time.
const maxTolerance = 7 * 24 * time.Hour

var (
	algorithms = []string{HMACSHA256, HMACSHA1, HMACSHA512, Ed25519, ECDSAP256, RSASHA256, Token}
	encodings  = []string{Hex, Base64, Base64URL}
	keyKinds   = []string{KeyUTF8, KeyBase64, KeyHex, KeyStandard}
	units      = []string{Seconds, Milliseconds, RFC3339, HTTPDate}
)

// Custom fills in what a description leaves out and says what is wrong with it. Faults name
// the description's own fields.
func Custom(v hook.Verification) (hook.Verification, []hook.Fault) {
	c, faults := prepare(v)
	return c.Verification, faults
}

// below takes over the faults of a part.
func (d *describer) below(prefix string, faults []hook.Fault) {
	for _, f := range faults {
		f.Field = strings.TrimSuffix(prefix+f.Field, ".")
		d.faults = append(d.faults, f)
	}
}

// prepare makes a check without keys.
func prepare(v hook.Verification) (*check, []hook.Fault) {
	d := describer{}
	v.Algorithm = cmp.Or(v.Algorithm, HMACSHA256)
	d.oneOf("algorithm", v.Algorithm, algorithms)
	d.place(&v)
	d.values(&v)
	var content []part
	if v.Algorithm == Token {
		d.tokenOnly(&v)
	} else {
		content = d.signed(&v)
	}
	c := &check{Verification: v, content: content, place: placeOf(v)}
	c.tolerance = d.time(&v, content)
	c.late = v.TimestampField != "" && !has(content, timestamp)
	c.Verification = v
	return c, d.faults
}

// describer collects faults of a description.
type describer struct{ faults []hook.Fault }

func (d *describer) fault(field, code, detail string) {
	d.faults = append(d.faults, hook.Fault{Field: field, Code: code, Detail: detail})
}

func (d *describer) oneOf(field, value string, allowed []string) {
	if !slices.Contains(allowed, value) {
		last := len(allowed) - 1
		d.fault(field, "invalid_format", "use "+strings.Join(allowed[:last], ", ")+" or "+allowed[last])
	}
}

// headerName makes a name canonical, as it stands in an http.Header.
func (d *describer) headerName(field string, name *string) {
	if *name == "" {
		return
	}
	if !httpguts.ValidHeaderFieldName(*name) {
		d.fault(field, "invalid_format", "a header name has only letters, digits and - _ . ~ ! # $ % & ' * + ^ ` |")
	}
	*name = http.CanonicalHeaderKey(*name)
}

func (d *describer) place(v *hook.Verification) {
	given := 0
	for _, s := range []string{v.Header, v.Query, v.BodyField} {
		if s != "" {
			given++
		}
	}
	switch {
	case given == 0:
		d.fault("header", "required", "name the header, query parameter or body field that carries the signature")
	case given > 1:
		d.fault("header", "invalid_format", "the signature is in one place: give header, query or bodyField")
	}
	d.headerName("header", &v.Header)
	d.headerName("idHeader", &v.IDHeader)
	d.headerName("timestampHeader", &v.TimestampHeader)
}

func placeOf(v hook.Verification) string {
	switch {
	case v.Header != "":
		return "header " + v.Header
	case v.Query != "":
		return "query parameter " + v.Query
	}
	return "body field " + v.BodyField
}

// values checks texts that are compared with what a header holds.
func (d *describer) values(v *hook.Verification) {
	for _, text := range []struct{ field, value string }{
		{"prefix", v.Prefix}, {"separator", v.Separator}, {"timestampPrefix", v.TimestampPrefix},
	} {
		if strings.IndexFunc(text.value, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 || len(text.value) > 100 {
			d.fault(text.field, "invalid_format", "at most 100 characters of printable ASCII")
		}
	}
	if v.TimestampPrefix != "" && v.Separator == "" {
		d.fault("separator", "required", "say what stands between the time and the signature")
	}
}

// tokenOnly refuses what has no meaning where nothing is signed.
func (d *describer) tokenOnly(v *hook.Verification) {
	for _, text := range []struct{ field, value string }{
		{"encoding", v.Encoding}, {"content", v.Content}, {"key", v.Key}, {"idHeader", v.IDHeader}, {"bodySHA256Query", v.BodySHA256Query},
		{"timestampHeader", v.TimestampHeader}, {"timestampField", v.TimestampField}, {"timestampPrefix", v.TimestampPrefix},
	} {
		if text.value != "" {
			d.fault(text.field, "invalid_format", "a token signs nothing: leave this out, or choose another algorithm")
		}
	}
}

// signed reads what is signed and with what sort of key.
func (d *describer) signed(v *hook.Verification) []part {
	v.Encoding = cmp.Or(v.Encoding, Hex)
	d.oneOf("encoding", v.Encoding, encodings)
	if hashes[v.Algorithm] != nil {
		v.Key = cmp.Or(v.Key, KeyUTF8)
		d.oneOf("key", v.Key, keyKinds)
	} else if v.Key != "" {
		d.fault("key", "invalid_format", "public keys are recognised by themselves: leave this out")
	}
	v.Content = cmp.Or(v.Content, "{body}")
	parts, err := parse(v.Content)
	switch {
	case err != nil:
		d.fault("content", "invalid_format", err.Error())
	case has(parts, ownHMAC):
		d.fault("content", "invalid_format", "{hmac} is for answers to handshakes")
	case has(parts, twig) && !strings.Contains(v.Content, "request"):
		d.fault("content", "invalid_format", "must look at the request, or the signature protects nothing: {{ request.rawBody }}")
	case !has(parts, twig, body, form, bodyField, fullURL, urlOtherPort, urlDecoded, queryParameter):
		d.fault("content", "invalid_format", "must contain {body} or another part of the request, or the signature protects nothing")
	}
	if has(parts, id) {
		v.IDHeader = cmp.Or(v.IDHeader, "Webhook-Id")
	} else if v.IDHeader != "" {
		d.fault("idHeader", "invalid_format", "nothing uses it: put {id} into content")
	}
	if v.BodySHA256Query != "" && !has(parts, fullURL, urlOtherPort, urlDecoded) {
		d.fault("bodySHA256Query", "invalid_format", "the digest is only worth something in a signed URL: put {url} into content")
	}
	return parts
}

// time reads where the time of signing is, and returns how far it may be from now.
func (d *describer) time(v *hook.Verification, content []part) time.Duration {
	given := 0
	for _, s := range []string{v.TimestampHeader, v.TimestampField, v.TimestampPrefix} {
		if s != "" {
			given++
		}
	}
	if given > 1 {
		d.fault("timestampHeader", "invalid_format", "the time is in one place: give timestampHeader, timestampField or timestampPrefix")
	}
	if given == 0 && has(content, timestamp) {
		v.TimestampHeader = "Webhook-Timestamp"
		given = 1
	}
	if given == 0 {
		if v.TimestampUnit != "" {
			d.fault("timestampUnit", "invalid_format", "there is no time: give timestampHeader, timestampField or timestampPrefix, too")
		}
		if v.Tolerance != nil && *v.Tolerance != 0 {
			d.fault("tolerance", "invalid_format", "there is no time in what is signed")
		}
		return 0
	}
	v.TimestampUnit = cmp.Or(v.TimestampUnit, Seconds)
	d.oneOf("timestampUnit", v.TimestampUnit, units)
	// What a template signs is its author's affair.
	if !has(content, timestamp, twig) && (v.TimestampField == "" || !has(content, body)) && v.Algorithm != Token {
		d.fault("content", "invalid_format", "the time is not signed, so anybody can change it: put {timestamp} into content")
	}
	if v.Tolerance == nil {
		tolerance := DefaultTolerance
		v.Tolerance = &tolerance
	}
	if *v.Tolerance < 0 || *v.Tolerance > maxTolerance {
		d.fault("tolerance", "out_of_range", "between 0s (the time is not looked at) and 7d")
	}
	return *v.Tolerance
}
