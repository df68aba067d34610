package importer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/provision"
)

// rest warns of fields that nobody asked for.
func (f *fields) rest(m *maker, about string) {
	for _, name := range slices.Sorted(maps.Keys(f.all)) {
		if !f.used[name] && !empty(f.all[name]) {
			m.warn(about, "%s has no equivalent and is left out", name)
		}
	}
}

// secretName reports whether a header or parameter by its name carries a secret.
func secretName(name string) bool {
	name = strings.ToLower(name)
	for _, part := range []string{"authorization", "cookie", "key", "token", "secret", "password", "auth"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// header writes a header of a webhook; what looks like a secret goes to a variable.
func (m *maker) header(code, about, name, value string) provision.Fields {
	if secretName(name) {
		return provision.Fields{}.With("name", name).With("value", m.secret(code+"_"+name, about+" header "+name, value)).With("secret", true)
	}
	return provision.Fields{}.With("name", name).With("value", value)
}

// seconds writes a number of seconds as a duration.
func seconds(n float64) string {
	if n == float64(int(n)) {
		return fmt.Sprintf("%ds", int(n))
	}
	return fmt.Sprintf("%dms", int(n*1000))
}
