package preset

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/nearest"
)

// Verifier checks the requests of one door by one pre-processor. It is made once per version
// of the door's configuration. Safe for concurrent use; a nil one refuses everything.
type Verifier struct {
	checks     []*check
	handshakes []handshake
}

// Compile makes a verifier, and says what is wrong with the pre-processor: faults name its
// own fields. secret returns the door's secret of a name; nil means that only the
// description is checked. With faults there is no verifier.
func (t *Table) Compile(c hook.PreProcessor, secret func(name string) (hook.Sensitive, bool)) (*Verifier, []hook.Fault) {
	d := describer{}
	descriptions, p := t.describe(c, &d)
	v := &Verifier{}
	timed := false
	for _, description := range descriptions {
		check, _ := prepare(description) // without faults: it was checked when it was read
		if check.Tolerance != nil {
			timed = true
			if c.Tolerance != nil {
				check.tolerance = *c.Tolerance
			}
		}
		v.checks = append(v.checks, check)
	}
	if c.Tolerance != nil && len(v.checks) > 0 {
		switch {
		case !timed && *c.Tolerance != 0:
			d.fault("tolerance", "invalid_format", "there is no time in what this sender signs")
		case *c.Tolerance < 0 || *c.Tolerance > maxTolerance:
			d.fault("tolerance", "out_of_range", "between 0s (the time is not looked at) and 7d")
		}
	}
	if len(c.Secrets) == 0 {
		d.fault("secrets", "required", "name at least one of the webhook's secrets: without one nothing can be verified")
	}
	if len(c.Handshake) > 0 && (p == nil || p.HandshakeSecret == nil) {
		d.fault("handshake", "invalid_format", "this sender's handshake has no secret of its own: leave this out")
	}
	if p != nil {
		for i := range p.Handshakes {
			h, _ := shake(&p.Handshakes[i], p.HandshakeSecret != nil) // as above
			v.handshakes = append(v.handshakes, h)
			if h.open() {
				for _, check := range v.checks {
					check.open = true
				}
			}
		}
	}
	if secret != nil {
		d.keys(v, c, secret)
	}
	if len(d.faults) > 0 {
		return nil, d.faults
	}
	return v, nil
}

// describe finds the descriptions that a pre-processor means.
func (t *Table) describe(c hook.PreProcessor, d *describer) ([]hook.Verification, *hook.Preset) {
	switch {
	case c.Preset != "" && len(c.Signature) > 0:
		d.fault("preset", "invalid_format", "give a preset or describe the signature, not both")
	case len(c.Signature) > 0:
		v, faults := Parse(c.Signature)
		d.below("verification.", faults)
		if len(faults) == 0 {
			return []hook.Verification{v}, nil
		}
	case c.Preset == "":
		d.fault("preset", "required", "name a preset (GET /v1/presets lists them), or describe the signature in the field verification")
	default:
		if p := t.presets[c.Preset]; p != nil {
			return p.Verifications, p
		}
		detail := "there is no such preset; GET /v1/presets lists them"
		if near := nearest.Name(c.Preset, t.Names()); near != "" {
			detail = fmt.Sprintf("there is no such preset; did you mean %q? GET /v1/presets lists all", near)
		}
		d.fault("preset", "invalid_format", detail)
	}
	return nil, nil
}

// keys makes the keys of the named secrets.
func (d *describer) keys(v *Verifier, c hook.PreProcessor, secret func(string) (hook.Sensitive, bool)) {
	for i, name := range c.Secrets {
		field := fmt.Sprintf("secrets[%d]", i)
		value, ok := secret(name)
		if !ok {
			d.fault(field, "invalid_format", fmt.Sprintf("the webhook has no secret named %q", name))
			continue
		}
		if err := v.add(value); err != nil {
			d.secretFault(field, name, err)
		}
	}
	for i, name := range c.Handshake {
		field := fmt.Sprintf("handshake[%d]", i)
		value, ok := secret(name)
		switch {
		case !ok:
			d.fault(field, "invalid_format", fmt.Sprintf("the webhook has no secret named %q", name))
			continue
		case strings.TrimSpace(string(value)) == "":
			d.secretFault(field, name, errEmpty)
			continue
		}
		for j := range v.handshakes {
			v.handshakes[j].named = true
			v.handshakes[j].secrets = append(v.handshakes[j].secrets, sha256.Sum256([]byte(value)))
		}
	}
}

func (d *describer) secretFault(field, name string, err error) {
	code := "invalid_format"
	if errors.Is(err, errEmpty) {
		code = "empty_secret"
	}
	d.fault(field, code, fmt.Sprintf("the secret %q %s", name, err))
}

// add makes keys of a secret for all descriptions that can use it. Senders with two kinds
// of secrets have a description for each; one of them must take it.
func (v *Verifier) add(secret hook.Sensitive) error {
	var first error
	taken := false
	for _, check := range v.checks {
		k, err := newKey(&check.Verification, secret)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		check.keys = append(check.keys, k)
		taken = true
	}
	if !taken {
		return first
	}
	for i := range v.handshakes {
		h := &v.handshakes[i]
		if h.HMAC != nil && h.key == nil {
			k, err := newKey(&hook.Verification{Algorithm: h.HMAC.Algorithm, Key: KeyUTF8}, secret)
			if err != nil {
				return err
			}
			h.key = k
		}
	}
	return nil
}

// CheckSecret says what is wrong with a secret for a pre-processor, nil if nothing is. The
// fault has no field.
func (t *Table) CheckSecret(c hook.PreProcessor, secret hook.Sensitive) *hook.Fault {
	descriptions, _ := t.describe(c, &describer{})
	if len(descriptions) == 0 {
		return nil // the description's fault, not the secret's
	}
	v := &Verifier{}
	for _, description := range descriptions {
		check, _ := prepare(description)
		v.checks = append(v.checks, check)
	}
	err := v.add(secret)
	if err == nil {
		return nil
	}
	code := "invalid_format"
	if errors.Is(err, errEmpty) {
		code = "empty_secret"
	}
	return &hook.Fault{Code: code, Detail: "the secret " + err.Error()}
}
