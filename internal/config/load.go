package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"sallyport/internal/nearest"
)

// fileSuffix makes the name of the variable that names a file with the value of a secret.
const fileSuffix = "_FILE"

// AddFlags gives a command the flags of the settings with these names, or of all settings.
// They are hidden from the usual list, because Help shows them with their variables.
func AddFlags(flags *pflag.FlagSet, names ...string) {
	for _, s := range selected(names) {
		flags.String(s.Flag(), s.Default, s.Help)
		if s.Bool {
			flags.Lookup(s.Flag()).NoOptDefVal = "true"
		}
		flags.Lookup(s.Flag()).Hidden = true
		if s.Secret {
			name := flagOfFile(s)
			flags.String(name, "", "file with the value of --"+s.Flag())
			flags.Lookup(name).Hidden = true
		}
	}
}

// FromFlags returns the values that were given as flags, by flag name, for Load.
func FromFlags(flags *pflag.FlagSet) map[string]string {
	given := map[string]string{}
	flags.Visit(func(f *pflag.Flag) { given[f.Name] = f.Value.String() })
	return given
}

func flagOfFile(s Setting) string { return s.Flag() + "-file" }

// Load reads the settings: defaults, over them environ (as os.Environ returns it), over them
// flags (as FromFlags returns them). A variable that is empty counts as not set, since compose
// files cannot leave one out. The error joins every fault found, one *Fault each.
func Load(environ []string, flags map[string]string) (Config, error) {
	c := Default()
	env := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, prefix) && value != "" {
			env[name] = value
		}
	}
	var faults []error
	for _, s := range settings {
		value, source, err := s.read(env, flags)
		if err != nil {
			faults = append(faults, &Fault{Name: source, Problem: err.Error()})
			continue
		}
		if source == "" {
			continue
		}
		if problem := s.set(&c, value); problem != "" {
			if s.Secret {
				value = ""
			}
			faults = append(faults, &Fault{Name: source, Value: value, Problem: problem})
		}
	}
	c.Warnings = nearMisses(env)
	// Faults between settings follow from those of single ones; one at a time would hide neither.
	return c, errors.Join(append(faults, c.Validate())...)
}

// read returns the value of a setting and where it came from: a variable, a flag with its
// dashes, or "" if it was given nowhere.
func (s Setting) read(env, flags map[string]string) (value, source string, err error) {
	for _, from := range []struct {
		values          map[string]string
		plain, file     string
		plainIs, fileIs string
	}{
		{flags, s.Flag(), flagOfFile(s), "--" + s.Flag(), "--" + flagOfFile(s)},
		{env, s.Name, s.Name + fileSuffix, s.Name, s.Name + fileSuffix},
	} {
		plain, hasPlain := from.values[from.plain]
		path, hasFile := from.values[from.file]
		switch hasFile = hasFile && s.Secret; {
		case hasPlain && hasFile:
			return "", from.plainIs, fmt.Errorf("and %s are both set: which one?", from.fileIs)
		case hasPlain:
			return plain, from.plainIs, nil
		case hasFile:
			content, err := os.ReadFile(path)
			if err != nil {
				return "", from.fileIs, fmt.Errorf("cannot be read: %w", err)
			}
			// Editors and echo end a file with a newline, which no secret has.
			value := strings.TrimRight(string(content), "\r\n")
			if value == "" {
				// A secret that failed to mount must not turn into a generated one.
				return "", from.fileIs, fmt.Errorf("names %s, which is empty", path)
			}
			return value, from.fileIs, nil
		}
	}
	return "", "", nil
}

// nearMisses finds variables that look like a mistyped setting. Others with our prefix are not
// our business: Kubernetes sets some for a service of our name, and scripts keep keys in them.
func nearMisses(env map[string]string) []string {
	var known []string
	for _, s := range settings {
		known = append(known, s.Name)
		if s.Secret {
			known = append(known, s.Name+fileSuffix)
		}
	}
	var warnings []string
	for name := range env {
		if slices.Contains(known, name) {
			continue
		}
		if meant := nearest.Within(2, name, known); meant != "" {
			warnings = append(warnings, fmt.Sprintf("%s is not a setting and has no effect; did you mean %s?", name, meant))
		}
	}
	slices.Sort(warnings)
	return warnings
}
