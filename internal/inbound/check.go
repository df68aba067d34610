package inbound

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"

	"sallyport/internal/hook"
	"sallyport/internal/preset"
	"sallyport/internal/signature"
)

// refusal is why a call does not pass.
type refusal struct {
	kind   hook.Kind
	detail string // for the log, names no secret
	// told is the kind that the caller is told, if it is another: some senders insist on 401.
	told hook.Kind
}

func refuse(kind hook.Kind, format string, args ...any) *refusal {
	return &refusal{kind: kind, detail: fmt.Sprintf(format, args...)}
}

func refused(format string, args ...any) *refusal {
	return refuse(hook.KindPreProcessor, format, args...)
}

// matching compares a value with what is expected: the exact text or a regular expression.
func matching(p *hook.PreProcessor, what string, value func(j *judged) (string, bool, error)) (func(*judged) *refusal, error) {
	var re *regexp.Regexp
	if p.Matches != "" {
		var err error
		if re, err = regexp.Compile(p.Matches); err != nil {
			return nil, err
		}
	}
	if re == nil && p.Equals == nil {
		return nil, errors.New("equals or matches is needed")
	}
	return func(j *judged) *refusal {
		got, ok, err := value(j)
		switch {
		case err != nil:
			return refused("%v", err)
		case !ok:
			return refused("%s is missing", what)
		case p.Equals != nil && !equal(got, *p.Equals), re != nil && !re.MatchString(got):
			return refused("%s does not match", what)
		}
		return nil
	}, nil
}

// equal compares in constant time, but for the lengths' hashes.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// among reports that a value is one of the secrets; all are compared.
func among(value string, secrets [][sha256.Size]byte) bool {
	sum := sha256.Sum256([]byte(value))
	found := 0
	for i := range secrets {
		found |= subtle.ConstantTimeCompare(sum[:], secrets[i][:])
	}
	return found == 1
}

// carried checks a credential that is sent as it is.
func carried(secrets [][sha256.Size]byte, what string, value func(j *judged) (string, bool, error)) (func(*judged) *refusal, error) {
	if len(secrets) == 0 {
		return nil, errors.New("it has no secret")
	}
	return func(j *judged) *refusal {
		got, ok, err := value(j)
		switch {
		case err != nil:
			return refuse(hook.KindCredentialsRefused, "%v", err)
		case !ok || got == "":
			return refuse(hook.KindCredentialsRefused, "%s is missing", what)
		case !among(got, secrets):
			return refuse(hook.KindCredentialsRefused, "%s is another", what)
		}
		return nil
	}, nil
}

func basicAuth(p *hook.PreProcessor, secrets [][sha256.Size]byte) (func(*judged) *refusal, error) {
	if len(secrets) == 0 {
		return nil, errors.New("it has no secret")
	}
	return func(j *judged) *refusal {
		user, password, ok := j.basicAuth()
		if !ok {
			return refuse(hook.KindCredentialsRefused, "there are no basic credentials")
		}
		known := equal(user, p.Username)
		if !among(password, secrets) || !known {
			return refuse(hook.KindCredentialsRefused, "the user name or the password is another")
		}
		return nil
	}, nil
}

func ipCheck(p *hook.PreProcessor) (func(*judged) *refusal, error) {
	var allow []netip.Prefix
	for _, entry := range p.Allow {
		x, err := prefix(entry)
		if err != nil {
			return nil, err
		}
		allow = append(allow, x)
	}
	return func(j *judged) *refusal {
		if !within(j.call.Client, allow) {
			return refuse(hook.KindIPNotAllowed, "the address %s is not on the list", j.call.Client)
		}
		return nil
	}, nil
}

func (d *Doors) bodyCheck(p *hook.PreProcessor) (func(*judged) *refusal, error) {
	if p.Path == "" {
		return matching(p, "the body", func(j *judged) (string, bool, error) { return string(j.body), true, nil })
	}
	find, err := d.templates.Select(p.Path)
	if err != nil {
		return nil, err
	}
	return matching(p, p.Path+" of the body", func(j *judged) (string, bool, error) {
		doc := j.parsedBody()
		if doc == nil {
			return "", false, nil
		}
		text, ok := find(doc)
		return text, ok, nil
	})
}

func (d *Doors) schemaCheck(p *hook.PreProcessor) (func(*judged) *refusal, error) {
	validate, err := d.templates.Schema(p.Schema)
	if err != nil {
		return nil, err
	}
	return func(j *judged) *refusal {
		items, err := j.items(j.door.parser)
		if err != nil {
			return refused("the body cannot be parsed: %v", err)
		}
		for i, item := range items.Items(0, -1) {
			if err := validate(item); err != nil {
				return refused("item %d does not fit the schema: %v", i, err)
			}
		}
		return nil
	}, nil
}

func (d *Doors) conditionCheck(p *hook.PreProcessor) func(*judged) *refusal {
	return func(j *judged) *refusal {
		ok, err := d.templates.Condition(p.Condition, j.scene(nil))
		switch {
		case err != nil:
			return refused("the condition cannot be evaluated: %s", withoutSecrets(detailOf(err), j.door.Secrets))
		case !ok:
			return refused("the condition is false")
		}
		return nil
	}
}

func (d *Doors) signatureCheck(x *door, p *hook.PreProcessor) (func(*judged) *refusal, error) {
	v, faults := d.cfg.Presets.Compile(*p, x.secret)
	if err := hook.Invalid(faults); err != nil {
		return nil, err
	}
	x.signed = append(x.signed, v)
	carriers := v.Carriers()
	for _, name := range carriers.Headers {
		x.hide.add("header", name)
	}
	for _, name := range carriers.Query {
		x.hide.add("query", name)
	}
	for _, field := range carriers.BodyFields {
		x.hide.add("body", field)
	}
	insists := false
	if s := d.cfg.Presets.Get(p.Preset); s != nil {
		insists = s.RefusalStatus == http.StatusUnauthorized
	}
	return func(j *judged) *refusal {
		r := signatureRefusal(v.Verify(j.presetRequest()))
		if r != nil && insists {
			r.told = hook.KindCredentialsRefused
		}
		return r
	}, nil
}

func signatureRefusal(err error) *refusal {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, signature.ErrMissing):
		return refuse(hook.KindSignatureMissing, "%v", err)
	case errors.Is(err, signature.ErrExpired):
		return refuse(hook.KindSignatureExpired, "%v", err)
	}
	return refuse(hook.KindSignatureMismatch, "%v", err)
}

// presetRequest is the call as presets look at it.
func (j *judged) presetRequest() *preset.Request {
	if j.signed == nil {
		j.signed = &preset.Request{
			Method: j.call.Method, URL: j.call.URL, Header: j.call.Header, RawQuery: j.call.RawQuery, Body: j.raw, Now: j.now,
			Render: func(source string) (string, error) { return j.doors.templates.Render(source, j.scene(nil)) },
		}
	}
	return j.signed
}
