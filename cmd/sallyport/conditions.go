package main

import (
	"context"
	"errors"
	"time"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/template"
)

// conditions evaluates filters and renders templates for the rooms that need it.
type conditions struct{}

// Check reads an expression without evaluating it.
func (conditions) Check(expression string) error {
	_, err := template.CompileExpression(expression)
	return err
}

// About gives filters the event they are about, as `event`.
func (conditions) About(e *hook.Event) func(expression string) (bool, error) {
	var values *template.Array
	return func(expression string) (bool, error) {
		x, err := template.CompileExpression(expression)
		if err != nil {
			return false, err
		}
		if values == nil {
			values = template.NewMap().Set("event", eventValues(e))
		}
		return x.True(values, template.Options{})
	}
}

// holds evaluates one filter.
func (c conditions) holds(expression string, e *hook.Event) (bool, error) {
	return c.About(e)(expression)
}

// eventValues is an event as templates see it.
func eventValues(e *hook.Event) *template.Array {
	var entity any
	if e.Entity != nil {
		entity, _ = template.DecodeJSON(e.Entity) // null if it cannot be read
	}
	return action.EventValues(e, entity)
}

// kinds of templates' errors as the API tells them.
var templateKinds = map[template.ErrorKind]hook.Kind{
	template.Syntax: hook.KindTemplateSyntax, template.Runtime: hook.KindTemplateRuntime, template.Limit: hook.KindTemplateLimit,
}

// renderer renders templates for integrators who try them.
type renderer struct{}

// Render evaluates a template with the keys of a JSON object.
func (renderer) Render(_ context.Context, source string, values []byte, now time.Time, zone string) (string, error) {
	if !template.ValidZone(zone) {
		return "", hook.Invalid([]hook.Fault{{Field: "timezone", Code: "invalid_format", Detail: "there is no time zone of this name; use one such as Europe/Berlin"}})
	}
	given := template.NewMap()
	if len(values) > 0 {
		v, err := template.DecodeJSON(values)
		a, ok := v.(*template.Array)
		if err != nil || !ok {
			return "", hook.Invalid([]hook.Fault{{Field: "context", Code: "invalid_format", Detail: "context must be a JSON object, nested at most 512 levels"}})
		}
		given = a
	}
	t, err := template.Compile(source)
	out := ""
	if err == nil {
		out, err = t.Render(given, template.Options{Now: now, Zone: zone})
	}
	var e *template.Error
	if errors.As(err, &e) {
		return "", &hook.Error{Kind: templateKinds[e.Kind], Detail: e.Message, Field: "template", Line: e.Line, Column: e.Column}
	}
	return out, err
}
