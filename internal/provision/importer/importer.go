// Package importer makes provisioning files of the configuration of other systems. What has no
// equivalent is told in a warning, never dropped in silence; secrets go to variables.
package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"sallyport/internal/provision"
)

// Result is what an import came to.
type Result struct {
	File     []byte   // a provisioning file
	Warnings []string // what is not as it was
	Secrets  []Secret // values of the file's variables, as far as the source had them
	Commands []byte   // what the operator must declare for runCommand; nil if nothing
}

// Secret is a variable of the file.
type Secret struct {
	Name  string
	For   string
	Value string // "" if the source did not have it
}

// maker collects a file.
type maker struct {
	set      string
	from     string // the other system
	objects  map[string][]provision.Fields
	codes    map[string]bool
	names    map[string]bool // of webhooks, which are unique, too
	secrets  []Secret
	warnings []string
	foot     []string
	commands []byte
}

func newMaker(from, set string) *maker {
	return &maker{from: from, set: set, objects: map[string][]provision.Fields{}, codes: map[string]bool{}, names: map[string]bool{}}
}

// warn notes what somebody has to know about one of the objects, or about all ("").
func (m *maker) warn(about, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if about != "" {
		text = about + ": " + text
	}
	for _, w := range m.warnings {
		if w == text {
			return
		}
	}
	m.warnings = append(m.warnings, text)
}

func (m *maker) add(kind string, o provision.Fields) { m.objects[kind] = append(m.objects[kind], o) }

// notCode are the characters that a code cannot have.
var notCode = regexp.MustCompile(`[^a-z0-9_-]+`)

// code makes a code of a name, one that no other object has yet.
func (m *maker) code(name, otherwise string) string {
	code := strings.Trim(notCode.ReplaceAllString(strings.ToLower(name), "-"), "-")
	code = strings.TrimRight(code[:min(len(code), 60)], "-")
	if code == "" {
		code = otherwise
	}
	unique := code
	for n := 2; m.codes[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", code, n)
	}
	m.codes[unique] = true
	return unique
}

// named gives a webhook its name, unless another has it: then it is called by its code.
func (m *maker) named(o provision.Fields, about, name string) provision.Fields {
	if name == "" {
		return o
	}
	if m.names[name] {
		m.warn(about, "was called %q, which another is, too; names are unique", name)
		return o
	}
	m.names[name] = true
	return o.With("name", name)
}

// reference is a variable that a file has already: its value is not ours to keep.
var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*):\?\}$`)

// secret makes a variable for a secret.
func (m *maker) secret(name, about, value string) provision.Variable {
	if have := reference.FindStringSubmatch(value); have != nil {
		name, value = have[1], ""
		for _, s := range m.secrets {
			if s.Name == name {
				return provision.Variable(name)
			}
		}
	} else {
		name = m.variable(name)
	}
	m.secrets = append(m.secrets, Secret{Name: name, For: about, Value: value})
	return provision.Variable(name)
}

var notVariable = regexp.MustCompile(`[^A-Z0-9]+`)

func (m *maker) variable(name string) string {
	name = strings.Trim(notVariable.ReplaceAllString(strings.ToUpper(name), "_"), "_")
	if name == "" || name[0] <= '9' {
		name = "_" + name
	}
	unique := name
	for n := 2; ; n++ {
		taken := false
		for _, s := range m.secrets {
			taken = taken || s.Name == unique
		}
		if !taken {
			return unique
		}
		unique = fmt.Sprintf("%s_%d", name, n)
	}
}

// result writes the file.
func (m *maker) result() (*Result, error) {
	head := []string{"", "Imported from " + m.from + "."}
	if len(m.secrets) > 0 {
		head = append(head, "", "Needs these variables:")
		for _, s := range m.secrets {
			head = append(head, "  "+s.Name+"  "+s.For)
		}
	}
	if len(m.warnings) > 0 {
		head = append(head, "", "Not as it was:")
		for _, w := range m.warnings {
			head = append(head, "- "+strings.ReplaceAll(w, "\n", " "))
		}
	}
	text, err := provision.WriteFile(m.set, head, m.objects, m.foot)
	if err != nil {
		return nil, err
	}
	return &Result{File: text, Warnings: m.warnings, Secrets: m.secrets, Commands: m.commands}, nil
}

// list reads a list of objects: as a list, as what an API answers (in data, or in content below it),
// or a single one. YAML will do, too.
func list(text []byte, what string) ([]map[string]any, error) {
	doc, err := document(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	for _, wrapper := range []string{"data", "content"} {
		object, ok := doc.(map[string]any)
		if !ok {
			break
		}
		if more(object) {
			return nil, fmt.Errorf("%s: this is one page of several; fetch all (a larger limit or perPage), or the rest would be missing", what)
		}
		if object[wrapper] != nil {
			doc = object[wrapper]
		}
	}
	switch doc := doc.(type) {
	case map[string]any:
		return []map[string]any{doc}, nil
	case []any:
		out := make([]map[string]any, 0, len(doc))
		for n, e := range doc {
			object, ok := e.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("%s: element %d is no object", what, n+1)
			}
			out = append(out, object)
		}
		return out, nil
	}
	return nil, errors.New(what + ": there is no list of objects in it")
}

// more reports whether an answer of an API says that others follow it: that of Svix by done,
// that of Convoy by its pagination.
func more(answer map[string]any) bool {
	if done, ok := answer["done"].(bool); ok && answer["data"] != nil {
		return !done
	}
	pages, _ := answer["pagination"].(map[string]any)
	return pages["has_next_page"] == true
}

// without is the error for an object that cannot be one of a list, as when an API answered with an error.
func without(what, field string) error {
	return fmt.Errorf("%s: one has no %s; is this the list, or an error that was answered instead?", what, field)
}

// document reads JSON, or YAML.
func document(text []byte) (any, error) {
	var doc any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if d.Decode(&doc) == nil && !d.More() {
		return plainNumbers(doc), nil
	}
	doc = nil
	err := yaml.Unmarshal(text, &doc)
	return doc, err
}

// plainNumbers makes numbers of JSON what YAML makes of them: whole ones stay whole.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = plainNumbers(e)
		}
	case []any:
		for n, e := range v {
			v[n] = plainNumbers(e)
		}
	case json.Number:
		if whole, err := strconv.Atoi(v.String()); err == nil {
			return whole
		}
		f, _ := v.Float64() // a number of JSON is one
		return f
	}
	return v
}

// fields reads an object, and knows which fields nobody asked for.
type fields struct {
	all  map[string]any
	used map[string]bool
}

func fieldsOf(all map[string]any) *fields { return &fields{all: all, used: map[string]bool{}} }

// ignore takes fields that mean nothing elsewhere, such as times of creation.
func (f *fields) ignore(names ...string) {
	for _, n := range names {
		f.used[n] = true
	}
}

func (f *fields) value(name string) any {
	f.used[name] = true
	return f.all[name]
}

func (f *fields) text(names ...string) string {
	out := ""
	for _, name := range names {
		switch v := f.value(name).(type) {
		case string:
			if out == "" {
				out = v
			}
		case nil:
		default:
			if out == "" {
				out = fmt.Sprint(v)
			}
		}
	}
	return out
}

// flag reads a truth value, which some write as a text.
func (f *fields) flag(name string, otherwise bool) bool {
	switch v := f.value(name).(type) {
	case bool:
		return v
	case string:
		return strings.EqualFold(v, "true") || v == "1"
	}
	return otherwise
}

func (f *fields) number(name string) (float64, bool) {
	switch v := f.value(name).(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	case string:
		var n float64
		_, err := fmt.Sscanf(v, "%g", &n)
		return n, err == nil && fmt.Sprint(n) == v
	}
	return 0, false
}

func (f *fields) texts(name string) []string {
	var out []string
	list, _ := f.value(name).([]any)
	for _, e := range list {
		out = append(out, fmt.Sprint(e))
	}
	return out
}

func (f *fields) objects(name string) []map[string]any {
	var out []map[string]any
	list, _ := f.value(name).([]any)
	for _, e := range list {
		if o, ok := e.(map[string]any); ok {
			out = append(out, o)
		}
	}
	return out
}

func (f *fields) object(name string) *fields {
	if o, ok := f.value(name).(map[string]any); ok {
		return fieldsOf(o)
	}
	return nil
}

// empty reports whether a value says nothing.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case bool:
		return !v
	case int:
		return v == 0
	case float64:
		return v == 0
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, e := range v {
			if !empty(e) {
				return false
			}
		}
		return true
	}
	return false
}
