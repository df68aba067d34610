package preset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
)

// file is a preset as its file spells it: the fields of the noun in camel case, durations
// as text. What the two shadow is filled in by preset.
type file struct {
	hook.Preset
	Verifications []fileVerification
	Name          *string // the file's own name says it
	Operator      *bool   // as does its directory
}

type fileVerification struct {
	hook.Verification
	Tolerance *string
}

// verification reads the tolerance. A fault is given to d.
func (f fileVerification) verification(d *describer, prefix string) hook.Verification {
	v := f.Verification
	if f.Tolerance != nil {
		tolerance, err := hook.ParseDuration(*f.Tolerance)
		if err != nil {
			d.fault(prefix+"tolerance", "invalid_duration", err.Error())
		}
		v.Tolerance = &tolerance
	}
	return v
}

// decode reads one JSON value without unknown fields.
func decode(raw []byte, to any) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		at := decoder.InputOffset()
		var syntax *json.SyntaxError
		var mistyped *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			at = syntax.Offset
		case errors.As(err, &mistyped):
			at = mistyped.Offset
		}
		return fmt.Errorf("line %d: %w", 1+bytes.Count(raw[:min(at, int64(len(raw)))], []byte("\n")), err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

var presetName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// maxFile bounds a file, so that a mistaken directory does not fill memory.
const maxFile = 64 << 10

// read reads every *.json of a directory, and reports all that is wrong at once.
func read(dir fs.FS) (map[string]*hook.Preset, error) {
	names, err := fs.Glob(dir, "*.json")
	if err != nil {
		return nil, err
	}
	// Glob finds nothing in a directory that is not there.
	if _, err := fs.Stat(dir, "."); err != nil {
		return nil, fmt.Errorf("reading presets: %w", err)
	}
	presets := make(map[string]*hook.Preset, len(names))
	var errs []error
	for _, name := range names {
		p, err := readFile(dir, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("preset %s: %w", name, err))
			continue
		}
		presets[p.Name] = p
	}
	return presets, errors.Join(errs...)
}

func readFile(dir fs.FS, name string) (*hook.Preset, error) {
	raw, err := fs.ReadFile(dir, name)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxFile {
		return nil, fmt.Errorf("is larger than %d bytes", maxFile)
	}
	var f file
	if err := decode(raw, &f); err != nil {
		return nil, err
	}
	p := f.Preset
	p.Name = strings.TrimSuffix(path.Base(name), ".json")
	if faults := f.complete(&p); len(faults) > 0 {
		texts := make([]string, len(faults))
		for i, fault := range faults {
			texts[i] = fault.Field + ": " + fault.Detail
		}
		return nil, errors.New(strings.Join(texts, "; "))
	}
	return &p, nil
}

// complete moves what the file spells its own way into the preset, and checks all of it.
func (f *file) complete(p *hook.Preset) []hook.Fault {
	d := &describer{}
	if !presetName.MatchString(p.Name) {
		d.fault("name", "invalid_format", "the file's name is the preset's: lower-case letters and digits, with single dashes between")
	}
	if f.Name != nil || f.Operator != nil {
		d.fault("name", "unknown_field", "the file's name says it: leave out name and operator")
	}
	for _, text := range []struct{ field, value string }{
		{"title", p.Title}, {"documentation", p.Documentation}, {"secret.name", p.Secret.Name}, {"secret.where", p.Secret.Where},
	} {
		if text.value == "" {
			d.fault(text.field, "required", "say it, for people who look for the preset")
		}
	}
	if len(f.Verifications) == 0 {
		d.fault("verifications", "required", "describe at least one")
	}
	eventHeader := p.EventHeader // people see it as the sender spells it
	d.headerName("eventHeader", &eventHeader)
	if p.RefusalStatus != 0 && (p.RefusalStatus < 400 || p.RefusalStatus > 499) {
		d.fault("refusalStatus", "out_of_range", "between 400 and 499")
	}
	p.Verifications = nil
	for i, fv := range f.Verifications {
		field := fmt.Sprintf("verifications[%d].", i)
		v := fv.verification(d, field)
		c, faults := prepare(v)
		d.below(field, faults)
		// As the sender spells them, for people; checking makes its own.
		spelled := c.Verification
		spelled.Header, spelled.IDHeader = v.Header, v.IDHeader
		if v.TimestampHeader != "" {
			spelled.TimestampHeader = v.TimestampHeader
		}
		p.Verifications = append(p.Verifications, spelled)
	}
	for i := range p.Handshakes {
		for j, w := range p.Handshakes[i].When {
			p.Handshakes[i].When[j].Header = http.CanonicalHeaderKey(w.Header)
		}
		_, faults := shake(&p.Handshakes[i], p.HandshakeSecret != nil)
		d.below(fmt.Sprintf("handshakes[%d].", i), faults)
	}
	return d.faults
}

// shake makes a handshake without keys, and says what is wrong with it.
func shake(spec *hook.Handshake, ownSecret bool) (handshake, []hook.Fault) {
	d := describer{}
	h := handshake{Handshake: *spec}
	d.oneOf("method", h.Method, []string{"GET", "HEAD", "POST", "OPTIONS"})
	if h.Status != 0 && (h.Status < 200 || h.Status > 299) {
		d.fault("status", "out_of_range", "between 200 and 299")
	}
	// What is repeated to a stranger must not be a page to a browser.
	switch h.ContentType {
	case "":
		h.ContentType = typeText
	case typeText, typeJSON:
	default:
		d.fault("contentType", "invalid_format", "use "+typeJSON+", or leave it out for "+typeText)
	}
	var err error
	if h.body, err = parse(h.Body); err != nil {
		d.fault("body", "invalid_format", err.Error())
	}
	for name, text := range h.Headers {
		parts, err := parse(text)
		if err != nil || !httpguts.ValidHeaderFieldName(name) {
			d.fault("headers."+name, "invalid_format", "must be a header's name and a text with placeholders")
		}
		h.headers = append(h.headers, headerPart{name: name, parts: parts})
	}
	answers := has(h.body, ownHMAC)
	if h.HMAC != nil {
		if hashes[h.HMAC.Algorithm] == nil {
			d.fault("hmac.algorithm", "invalid_format", "use hmac-sha1, hmac-sha256 or hmac-sha512")
		}
		d.oneOf("hmac.encoding", h.HMAC.Encoding, []string{Hex, Base64})
		if h.content, err = parse(h.HMAC.Content); err != nil || len(h.content) == 0 || has(h.content, ownHMAC) {
			d.fault("hmac.content", "invalid_format", "must be text with placeholders of the request")
		}
	}
	if answers != (h.HMAC != nil) {
		d.fault("hmac", "invalid_format", "describe it, and use {hmac} in body")
	}
	for i, w := range h.When {
		field := fmt.Sprintf("when[%d]", i)
		places := 0
		for _, s := range []string{w.Header, w.Query, w.Body} {
			if s != "" {
				places++
			}
		}
		if places != 1 {
			d.fault(field, "invalid_format", "give one of header, query and body")
		}
		if w.Secret && !ownSecret {
			d.fault(field+".secret", "invalid_format", "describe handshakeSecret, too")
		}
		if w.Absent && (w.Secret || w.Equals != "") {
			d.fault(field+".absent", "invalid_format", "what is absent equals nothing")
		}
	}
	return h, d.faults
}
