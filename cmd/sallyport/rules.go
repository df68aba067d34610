package main

import (
	"errors"
	"strings"
	"time"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/parse"
	"sallyport/internal/preset"
	"sallyport/internal/template"
)

// rules judges configuration when it is saved, in the words of the rooms that will work
// with it.
type rules struct {
	conditions
	siteURL string
	presets *preset.Table
	reach   func(host string) error // whether addresses may be called; nil: any
	mails   bool                    // there is a mail server
}

func (r rules) SendsMail() bool { return r.mails }

func (rules) CheckTemplate(source string) error {
	_, err := template.Compile(source)
	return told(err)
}

// Check reads an expression without evaluating it.
func (r rules) Check(expression string) error {
	err := told(r.conditions.Check(expression))
	if trimmed := strings.TrimLeft(expression, " \t\r\n"); err != nil && (strings.HasPrefix(trimmed, "{{") || strings.HasPrefix(trimmed, "{%")) {
		return &hook.Error{Kind: hook.KindTemplateSyntax, Detail: "leave the braces out: this is a bare expression, such as event.entity.total > 100", Line: 1, Column: 1}
	}
	return err
}

// SecretsOf returns the secrets that a template names, or an expression.
func (rules) SecretsOf(source string, expression bool) []string {
	if expression {
		if x, err := template.CompileExpression(source); err == nil {
			return x.Reads("secrets")
		}
	} else if t, err := template.Compile(source); err == nil {
		return t.Reads("secrets")
	}
	return nil
}

// RenderHash renders as the door does: a hash sees secrets, the site's URL and the clock.
func (r rules) RenderHash(source, zone string, secrets []hook.NamedSecret) (string, error) {
	out, err := doorTemplates{siteURL: r.siteURL}.Hash(source, zone, secrets, time.Now())
	return out, told(err)
}

func (rules) KnowsZone(name string) bool { return template.ValidZone(name) }

func (rules) CheckParser(p hook.Parser) []hook.Fault {
	_, faults := parse.Compile(p)
	return faults
}

// CheckSignature asks the presets, whose own word for a description is signature.
func (r rules) CheckSignature(p hook.PreProcessor, secret func(name string) (hook.Sensitive, bool)) []hook.Fault {
	_, faults := r.presets.Compile(p, secret)
	if len(faults) == 0 && len(p.Signature) > 0 {
		// Signed content may be a template, of which presets know nothing.
		if v, _ := preset.Parse(p.Signature); strings.Contains(v.Content, "{{") || strings.Contains(v.Content, "{%") {
			if err := r.CheckTemplate(v.Content); err != nil {
				faults = []hook.Fault{{Field: "signature.content", Code: string(hook.KindTemplateSyntax), Detail: err.Error()}}
			}
		}
	}
	for i, f := range faults {
		if rest, ok := strings.CutPrefix(f.Field, "signature"); ok && (rest == "" || rest[0] == '.') {
			faults[i].Field = "verification" + rest
		}
	}
	return faults
}

func (r rules) DedupeKey(name string) string {
	if p := r.presets.Get(name); p != nil {
		return p.DedupeKey
	}
	return ""
}

// CheckAction reads a configuration. An address that may not be called is told now; what a
// name leads to, and what a template renders, when it is called.
func (r rules) CheckAction(t hook.ActionType, config []byte, secrets []string) []hook.Fault {
	faults := action.CheckConfig(t, config, secrets)
	if t != hook.ActionHTTPRequest || len(faults) > 0 || r.reach == nil {
		return faults
	}
	if host := action.LiteralHost(config); host != "" {
		if err := r.reach(host); err != nil {
			return []hook.Fault{{Field: "config.url", Code: "url_not_allowed", Detail: err.Error()}}
		}
	}
	return nil
}

// told gives an error of a template the kind that the API tells, and the place in words.
func told(err error) error {
	var e *template.Error
	if errors.As(err, &e) {
		return &hook.Error{Kind: templateKinds[e.Kind], Detail: e.Error(), Line: e.Line, Column: e.Column}
	}
	return err
}
