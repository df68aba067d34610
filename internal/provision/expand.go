package provision

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Environment looks a variable up.
type Environment func(name string) (value string, ok bool)

// Environ makes an Environment of what os.Environ returns.
func Environ(environ []string) Environment {
	all := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok {
			all[name] = value
		}
	}
	return func(name string) (string, bool) {
		value, ok := all[name]
		return value, ok
	}
}

// expand replaces the variables in all texts of a value. It works on what was parsed, so
// that what is in a variable stays a text, whatever it looks like.
func (v *value) expand(env Environment, faults *Faults) {
	for _, f := range v.fields {
		f.value.expand(env, faults)
	}
	for _, e := range v.list {
		e.expand(env, faults)
	}
	if v.form != isText || v.written != "" || !strings.Contains(v.text, "$") {
		return
	}
	text, found, err := expand(v.text, env)
	if err != nil {
		faults.add(v.place, "%s", err)
		return
	}
	if found {
		v.written = v.text
	}
	v.text = text
}

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*`)
	bareVariable = regexp.MustCompile(`^\$[A-Za-z_][A-Za-z0-9_]*$`)
)

// forms is what an error says about how variables are written.
const forms = "write ${NAME}, ${NAME:-default} or ${NAME:?what it is}"

// expand replaces ${X}, ${X:-default} and ${X:?message}; $$ is a dollar, and so is a dollar
// before anything else. It reports whether there were variables.
func expand(text string, env Environment) (out string, found bool, err error) {
	if bareVariable.MatchString(text) {
		return "", false, fmt.Errorf("%s is no variable: write ${%s}, or $%s if the dollar is meant", text, text[1:], text)
	}
	var b strings.Builder
	var faults []error
	for {
		at := strings.IndexByte(text, '$')
		if at < 0 || at == len(text)-1 {
			b.WriteString(text)
			return b.String(), found, errors.Join(faults...)
		}
		b.WriteString(text[:at])
		switch text[at+1] {
		case '$':
			b.WriteByte('$')
			text = text[at+2:]
		case '{':
			end := closing(text[at+2:])
			if end < 0 {
				return "", false, errors.New("${ without its }; " + forms + ", and $${ if that is meant")
			}
			found = true
			value, err := variable(text[at+2:at+2+end], env)
			if err != nil {
				faults = append(faults, err)
			}
			b.WriteString(value)
			text = text[at+2+end+1:]
		default:
			b.WriteByte('$')
			text = text[at+1:]
		}
	}
}

// closing finds the brace that ends a variable, over those of variables in its default.
func closing(text string) int {
	depth := 0
	for i := range len(text) {
		switch {
		case strings.HasPrefix(text[i:], "${"):
			depth++
		case text[i] == '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

// variable is the value of what stands between the braces.
func variable(inner string, env Environment) (string, error) {
	name := variableName.FindString(inner)
	rest := inner[len(name):]
	fallback, hasDefault := strings.CutPrefix(rest, ":-")
	message, hasMessage := strings.CutPrefix(rest, ":?")
	if name == "" || rest != "" && !hasDefault && !hasMessage {
		return "", fmt.Errorf("${%s} cannot be read: %s, and $${ if that is meant", inner, forms)
	}
	if value, _ := env(name); value != "" {
		return value, nil
	}
	if hasDefault {
		value, _, err := expand(fallback, env)
		return value, err
	}
	if _, ok := env(name); ok {
		name += " is empty"
	} else {
		name += " is not set"
	}
	if hasMessage && message != "" {
		name += ": " + message
	}
	return "", errors.New(name)
}

// escape writes a text so that expand makes the same text of it.
func escape(text string) string {
	if strings.Contains(text, "$$") || strings.Contains(text, "${") || bareVariable.MatchString(text) {
		return strings.ReplaceAll(text, "$", "$$")
	}
	return text
}
