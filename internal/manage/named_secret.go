package manage

import (
	"slices"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/nearest"
)

// Bounds of named secrets. The longest are public keys in PEM.
const (
	maxNamed      = 50
	maxNamedValue = 8 << 10
)

// namedSecrets reads the secrets of a door or an action: a value left out is kept, a name
// left out goes with its value, and so that nothing is lost by silence, all are kept if
// the list itself is left out. It comes back in the order of names.
func (o *object) namedSecrets(current []hook.NamedSecret) []hook.NamedSecret {
	if !o.has("secrets") {
		return slices.Clone(current)
	}
	var out []hook.NamedSecret
	for _, x := range o.list("secrets", maxNamed) {
		s := hook.NamedSecret{Name: x.text("name", "", 1, hook.MaxCode)}
		x.need("name")
		taken := func(y hook.NamedSecret) bool { return y.Name == s.Name }
		if s.Name != "" && !hook.IsCode(s.Name) {
			x.fault(x.at("name"), "invalid_format", "%q is not a name: 1 to %d of A-Z a-z 0-9 _ -", clip(s.Name), hook.MaxCode)
		} else if slices.ContainsFunc(out, taken) {
			x.fault(x.at("name"), "invalid_format", "%s is there twice", s.Name)
		}
		if x.has("value") {
			s.Value = x.sensitive("value", maxNamedValue)
		} else if i := slices.IndexFunc(current, taken); i >= 0 {
			s.Value = current[i].Value
		} else {
			x.need("value")
		}
		x.ignore("hint")
		x.done()
		out = append(out, s)
	}
	if o.told[o.at("secrets")] { // one fault, not another for each reference
		return slices.Clone(current)
	}
	slices.SortStableFunc(out, func(a, b hook.NamedSecret) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// list reads a list of at most hi objects. What is none is told and left out.
func (o *object) list(name string, hi int) []*object {
	all := o.objects(name)
	if len(all) > hi {
		o.fault(o.at(name), "too_long", "has %d entries; at most %d are allowed", len(all), hi)
		return nil
	}
	return slices.DeleteFunc(all, func(x *object) bool { return x == nil })
}

// secretNames reads the names of secrets that must be there.
func (o *object) secretNames(name string, secrets []hook.NamedSecret) []string {
	var out []string
	n, ok := o.texts(name, maxNamed, func(at, s string) {
		o.secretName(at, s, secrets)
		out = append(out, s)
	})
	if ok && n == 0 {
		o.fault(o.at(name), "empty_secret", "is empty: name at least one of the webhook's secrets")
	}
	return out
}

// secretName faults a name that no secret has.
func (o *object) secretName(at, name string, secrets []hook.NamedSecret) {
	known := namesOf(secrets)
	if slices.Contains(known, name) {
		return
	}
	hint := "; put it among secrets"
	if near := nearest.Name(name, known); near != "" {
		hint = "; did you mean " + near + "?"
	}
	o.fault(at, "invalid_format", "there is no secret named %q%s", clip(name), hint)
}

func namesOf(secrets []hook.NamedSecret) []string {
	var out []string
	for _, s := range secrets {
		out = append(out, s.Name)
	}
	return out
}

// valuesOf finds a secret by its name.
func valuesOf(secrets []hook.NamedSecret) func(name string) (hook.Sensitive, bool) {
	return func(name string) (hook.Sensitive, bool) {
		i := slices.IndexFunc(secrets, func(s hook.NamedSecret) bool { return s.Name == name })
		if i < 0 {
			return "", false
		}
		return secrets[i].Value, true
	}
}

func sameNamed(a, b []hook.NamedSecret) bool {
	return slices.EqualFunc(a, b, func(x, y hook.NamedSecret) bool { return x.Name == y.Name && x.Value == y.Value })
}

// withoutValues is what may be shown.
func withoutValues(secrets []hook.NamedSecret) []hook.NamedSecret {
	out := slices.Clone(secrets)
	for i := range out {
		out[i].Value = ""
	}
	return out
}

// namesDocument is what a PUT would say to keep the secrets.
func namesDocument(secrets []hook.NamedSecret) []map[string]any {
	out := []map[string]any{}
	for _, s := range secrets {
		out = append(out, map[string]any{"name": s.Name})
	}
	return out
}
