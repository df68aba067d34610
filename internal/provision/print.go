package provision

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// signs stand in front of changes.
var signs = map[Op]string{Create: "+", Update: "~", Delete: "-"}

// hidden are fields that have secrets in them, the values of which are written nowhere.
var hidden = []string{"secret", "secrets", "hash", "basicAuth"}

// Print writes what a plan changes, a line each: names of fields, and with values the old and the new
// of those that are no secrets.
func (p *Plan) Print(w io.Writer, values bool) {
	width := 0
	for _, c := range p.Changes {
		if c.Op == Update {
			width = max(width, len(c.Ref()))
		}
	}
	for _, c := range p.Changes {
		switch c.Op {
		case Create:
			fmt.Fprintf(w, "+ %s\n", c.Ref())
		case Delete:
			fmt.Fprintf(w, "- %s\n", c.Ref())
		case Update:
			fmt.Fprintf(w, "~ %-*s  %s\n", width, c.Ref(), strings.Join(c.Changed, ", "))
			if values {
				c.PrintValues(w)
			}
		case Unchanged:
		}
	}
	if n := p.Count(Unchanged); n > 0 {
		fmt.Fprintf(w, "= %d unchanged\n", n)
	}
	if len(p.Changes) == 0 {
		fmt.Fprintln(w, "nothing to do")
	}
	if n := len(p.Extra); n > 0 {
		refs := make([]string, 0, n)
		for _, o := range p.Extra {
			refs = append(refs, o.Ref())
		}
		fmt.Fprintf(w, "  not in the files, left alone without --prune: %s\n", strings.Join(refs, ", "))
	}
}

// PrintValues writes what an update changes, a line for each field: the old and the new value, but
// none that is a secret. Of other changes there is nothing to write.
func (c *Change) PrintValues(w io.Writer) {
	if c.Op != Update {
		return
	}
	var before, after map[string]json.RawMessage
	_ = json.Unmarshal(c.Before.Doc, &before) // what cannot be read shows no values
	_ = json.Unmarshal(c.after, &after)
	for _, name := range c.Changed {
		written := c.Item.doc.get(name)
		was, is := before[name], after[name]
		switch {
		case slices.Contains(hidden, name), strings.ContainsAny(name, ".["), // one value within a field is named only where nobody sees it
			name == "url" && (string(after["urlSecret"]) == "true" || string(before["urlSecret"]) == "true"), bytes.Equal(was, is) && is != nil:
			fmt.Fprintf(w, "    %s: (not shown)\n", name)
		case written != nil && written.variable():
			// What comes from the environment may be a secret, and so may what it takes the place of.
			fmt.Fprintf(w, "    %s: now %s\n", name, written.json(true))
		case was == nil, is == nil:
			fmt.Fprintf(w, "    %s: now %s\n", name, shown(written))
		default:
			fmt.Fprintf(w, "    %s: %s -> %s\n", name, was, is)
		}
	}
}

func shown(v *value) string {
	if v == nil {
		return "its default"
	}
	return string(v.json(true))
}

// changeJSON is a change for programs.
type changeJSON struct {
	Op      Op       `json:"op"`
	Kind    string   `json:"kind"`
	Code    string   `json:"code"`
	Changed []string `json:"changed,omitempty"`
	File    string   `json:"file,omitempty"`
	Line    int      `json:"line,omitempty"`
}

// PrintJSON writes a plan as one JSON object.
func (p *Plan) PrintJSON(w io.Writer) error {
	out := struct {
		Set       string       `json:"set"`
		Workspace string       `json:"workspace,omitempty"`
		Same      bool         `json:"same"`
		Summary   map[Op]int   `json:"summary"`
		Changes   []changeJSON `json:"changes"`
		Extra     []string     `json:"extra"`
	}{p.Set.Name, p.Set.Workspace, p.Same(), map[Op]int{}, []changeJSON{}, []string{}}
	for _, op := range []Op{Create, Update, Delete, Unchanged} {
		out.Summary[op] = p.Count(op)
	}
	for _, c := range p.Changes {
		line := changeJSON{Op: c.Op, Kind: c.Kind.Field, Code: c.Code, Changed: c.Changed}
		if c.Item != nil {
			line.File, line.Line = c.Item.Place.File, c.Item.Place.Line
		}
		out.Changes = append(out.Changes, line)
	}
	for _, o := range p.Extra {
		out.Extra = append(out.Extra, o.Ref())
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(out)
}

// Line says what was done with an object.
func (c *Change) Line() string {
	switch c.Op {
	case Update:
		return "~ " + c.Ref() + "  " + strings.Join(c.Changed, ", ")
	default:
		return signs[c.Op] + " " + c.Ref()
	}
}
