package action

import (
	"errors"
	"fmt"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/template"
)

// badTemplate says that a configuration cannot be rendered, and where. Only another
// configuration, or other data, can help.
type badTemplate struct {
	field string
	text  string
}

func (e *badTemplate) Error() string { return e.field + ": " + e.text }

func asBad(err error, to **badTemplate) bool { return errors.As(err, to) }

func bad(field, format string, args ...any) error {
	return &badTemplate{field: field, text: fmt.Sprintf(format, args...)}
}

// text is a template for text.
type text struct {
	field    string
	source   string
	template *template.Template // nil: the source is the text
}

// text compiles a template and notes what it refers to.
func (b *builder) text(field, source string) *text {
	t := &text{field: field, source: source}
	if !isTemplate(source) {
		return t
	}
	compiled, err := template.Compile(source)
	if err != nil {
		b.fault(field, "template_syntax", err.Error())
		return t
	}
	t.template = compiled
	b.uses |= usesOf(source)
	if b.checks {
		for _, detail := range hook.UnknownSecrets(compiled.Reads("secrets"), b.secrets) {
			b.fault(field, "invalid_format", detail)
		}
	}
	return t
}

func isTemplate(source string) bool {
	return strings.Contains(source, "{{") || strings.Contains(source, "{%") || strings.Contains(source, "{#")
}

// render returns the text; nil is empty.
func (t *text) render(c *call) (string, error) {
	if t == nil {
		return "", nil
	}
	if t.template == nil {
		return t.source, nil
	}
	out, err := t.template.Render(c.values, c.scene.options())
	if err != nil {
		return "", badAt(t.field, err)
	}
	return out, nil
}

// trimmed is render without blanks and line breaks around the text.
func (t *text) trimmed(c *call) (string, error) {
	out, err := t.render(c)
	return strings.TrimSpace(out), err
}

// badAt names the field whose template failed; the error has line and column.
func badAt(field string, err error) error {
	var e *template.Error
	if errors.As(err, &e) {
		return &badTemplate{field: field, text: e.Error()}
	}
	return err
}

// expression compiles what is exactly one {{ expression }}, whose value then keeps its type;
// nil if the source is anything else.
func expression(source string) *template.Expression {
	inner, ok := strings.CutPrefix(strings.TrimSpace(source), "{{")
	if !ok {
		return nil
	}
	if inner, ok = strings.CutSuffix(inner, "}}"); !ok {
		return nil
	}
	inner = strings.TrimLeft(inner, "-~")
	inner = strings.TrimRight(inner, "-~")
	e, err := template.CompileExpression(inner)
	if err != nil {
		return nil
	}
	return e
}
