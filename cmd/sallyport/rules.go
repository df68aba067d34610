package main

import (
	"errors"
	"strings"

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
}

func (rules) CheckTemplate(source string) error {
	_, err := template.Compile(source)
	return told(err)
}

// Check reads an expression without evaluating it.
func (r rules) Check(expression string) error { return told(r.conditions.Check(expression)) }

// RenderHash renders as the door does: a hash sees secrets, the site's URL and the clock.
func (r rules) RenderHash(source, zone string, secrets []hook.NamedSecret) (string, error) {
	t, err := template.Compile(source)
	if err != nil {
		return "", told(err)
	}
	named := template.NewMap()
	for _, s := range secrets {
		named.Set(s.Name, string(s.Value))
	}
	values := template.NewMap().Set("secrets", named).Set("config", template.NewMap().Set("siteUrl", r.siteURL))
	out, err := t.Render(values, template.Options{Zone: zone})
	return out, told(err)
}

func (rules) KnowsZone(name string) bool { return template.ValidZone(name) }

func (rules) CheckParser(p hook.Parser) []hook.Fault {
	_, faults := parse.Compile(p)
	return faults
}

// CheckSignature asks the presets, whose own word for a description is signature.
func (rules) CheckSignature(p hook.PreProcessor, secret func(name string) (hook.Sensitive, bool)) []hook.Fault {
	_, faults := preset.Builtin().Compile(p, secret)
	for i, f := range faults {
		if rest, ok := strings.CutPrefix(f.Field, "signature"); ok && (rest == "" || rest[0] == '.') {
			faults[i].Field = "verification" + rest
		}
	}
	return faults
}

func (rules) DedupeKey(name string) string {
	if p := preset.Builtin().Get(name); p != nil {
		return p.DedupeKey
	}
	return ""
}

func (rules) CheckAction(t hook.ActionType, config []byte) []hook.Fault {
	return action.CheckConfig(t, config)
}

// told gives an error of a template the kind that the API tells, and the place in words.
func told(err error) error {
	var e *template.Error
	if errors.As(err, &e) {
		return &hook.Error{Kind: templateKinds[e.Kind], Detail: e.Error(), Line: e.Line, Column: e.Column}
	}
	return err
}
