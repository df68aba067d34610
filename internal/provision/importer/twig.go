package importer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// What is written in Twig.

var (
	twigName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	twigIndex = regexp.MustCompile(`^[0-9]+$`)
)

// subscript is one step into a value.
func subscript(name string) string {
	switch {
	case twigName.MatchString(name):
		return "." + name
	case twigIndex.MatchString(name):
		return "[" + name + "]"
	}
	return "[" + quoted(name) + "]"
}

// quoted is a text between quotation marks.
func quoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// literal is a value of JSON.
func literal(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "null", nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case string:
		return quoted(v), nil
	case []any:
		texts := make([]string, len(v))
		for n, e := range v {
			var err error
			if texts[n], err = literal(e); err != nil {
				return "", err
			}
		}
		return "[" + strings.Join(texts, ", ") + "]", nil
	}
	return "", fmt.Errorf("%v cannot be written", v)
}

// opening are what begins something of Twig.
var opening = strings.NewReplacer("{{", "{{ '{{' }}", "{%", "{{ '{%' }}", "{#", "{{ '{#' }}")

// plain is a text as it is in a template.
func plain(s string) string { return opening.Replace(s) }
