package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Export writes files of what a server has. With one set, what that manages; else all that there is,
// which then is to be a set of its own.
type Export struct {
	Set       string  // the set that the file is to have
	All       bool    // whatever it is managed by, else only what Set manages
	Workspace string  // what the file says; "" is nothing
	Kinds     []*Kind // nil is all
}

// Nothing says what was looked for in vain.
func (e Export) Nothing() string {
	kinds := "that was asked for"
	if e.Kinds == nil {
		kinds = "of any kind"
	}
	if e.All {
		return "there is nothing " + kinds + " in the workspace " + e.Workspace
	}
	return "nothing " + kinds + " has the metadata " + ManagedBy + "=" + e.Set + " in the workspace " + e.Workspace
}

// exported is an object in the making.
type exported struct {
	object  *Object
	doc     map[string]json.RawMessage // what the file will say, without secret values
	secrets map[string]string          // placeholders by place: secret, secrets.erp, headers.2, basicAuth
}

// minimal are the fields that decide about the defaults of others, and those without which there is none.
var minimal = map[string][]string{
	"eventTypes": {"name"}, "actions": {"code", "type", "config"}, "incomingWebhooks": {"code", "profile"}, "webhooks": {"code", "url", "profile"},
}

// Write writes the file. Each object is compared with what the server has as often as it takes to leave out what is
// the default anyway, so that applying the file changes nothing. It also says how many objects are in it.
func (e Export) Write(ctx context.Context, server Server, c *Checker) (text []byte, objects int, err error) {
	chosen := e.Kinds
	if chosen == nil {
		chosen = kinds
	}
	names := &placeholders{taken: map[string]string{}}
	all := map[*Kind][]*exported{}
	for _, k := range kinds {
		if !slices.Contains(chosen, k) {
			continue
		}
		set := e.Set
		if e.All {
			set = ""
		}
		list, err := server.List(ctx, k, set)
		if err != nil {
			return nil, 0, err
		}
		for _, o := range list {
			x, err := c.export(o, names)
			if err != nil {
				return nil, 0, err
			}
			if x != nil {
				all[k] = append(all[k], x)
				objects++
			}
		}
		if err := each(all[k], func(x *exported) error { return x.reduce(ctx, server) }); err != nil {
			return nil, 0, err
		}
	}
	text, err = e.file(all, names)
	return text, objects, err
}

// export makes the document of an object: what a client may write, secrets by their names.
func (c *Checker) export(o *Object, names *placeholders) (*exported, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(o.Doc, &all); err != nil {
		return nil, fmt.Errorf("reading %s: %w", o.Ref(), err)
	}
	if string(all["operational"]) == "true" {
		return nil, nil // they come with the server
	}
	x := &exported{object: o, doc: map[string]json.RawMessage{}, secrets: map[string]string{}}
	for name := range c.root.Defs[o.Kind.Input].Properties {
		if raw, ok := all[name]; ok {
			x.doc[name] = raw
		}
	}
	x.findSecrets(all, names)
	return x, nil
}

// findSecrets names the values that the server does not tell.
func (x *exported) findSecrets(all map[string]json.RawMessage, names *placeholders) {
	code := x.object.Code
	note := func(place, what, about string) {
		x.secrets[place] = names.name(code+"_"+what, x.object.Ref()+" "+about)
	}
	var named []struct{ Name string }
	_ = json.Unmarshal(all["secrets"], &named) // without names there are no placeholders
	switch x.object.Kind.Field {
	case "webhooks":
		if len(named) > 0 { // its secrets have none: they sign, one after the other
			note("secret", "secret", "secret")
		}
		var basic *struct{ Username string }
		if json.Unmarshal(all["basicAuth"], &basic) == nil && basic != nil {
			note("basicAuth", "password", "basicAuth.password")
		}
		var headers []struct {
			Name   string
			Secret bool
		}
		_ = json.Unmarshal(all["headers"], &headers)
		for n, h := range headers {
			if h.Secret {
				note(fmt.Sprintf("headers.%d", n), h.Name, "header "+h.Name)
			}
		}
		if string(all["urlSecret"]) == "true" {
			note("url", "url", "url, which is a secret itself")
		}
	case "incomingWebhooks", "actions":
		for n, s := range named {
			note(fmt.Sprintf("secrets.%d", n), "secret_"+s.Name, "secret "+s.Name)
		}
		list := make([]map[string]string, len(named))
		for n, s := range named {
			list[n] = map[string]string{"name": s.Name}
		}
		x.doc["secrets"], _ = json.Marshal(list)
		// A hash that names no secret is one, or has one in it.
		var hash string
		if json.Unmarshal(all["hash"], &hash) == nil && hash != "" && !strings.Contains(hash, "secrets.") {
			note("hash", "hash", "hash")
		}
	}
	if x.object.Kind.Field == "webhooks" {
		delete(x.doc, "secrets")
	}
}

// reduce leaves out what is the default: what a document of little more than a name comes to, too.
func (x *exported) reduce(ctx context.Context, server Server) error {
	try := func(doc map[string]json.RawMessage) (*Outcome, error) {
		body, err := json.Marshal(doc)
		if err != nil {
			return nil, err
		}
		out, err := server.Put(ctx, x.object.Kind, x.object.Code, body, Put{DryRun: true})
		if err != nil {
			err = fmt.Errorf("comparing %s: %w", x.object.Ref(), err)
		}
		return out, err
	}
	least := map[string]json.RawMessage{}
	for _, name := range minimal[x.object.Kind.Field] {
		if raw, ok := x.doc[name]; ok {
			least[name] = raw
		}
	}
	out, err := try(least)
	if err != nil {
		return err
	}
	var plain, full map[string]json.RawMessage
	if err := json.Unmarshal(out.Doc, &plain); err != nil {
		return fmt.Errorf("reading %s: %w", x.object.Ref(), err)
	}
	full, x.doc = x.doc, maps.Clone(x.doc)
	for _, name := range []string{"routes", "preProcessors", "postProcessors"} {
		if raw, ok := x.doc[name]; ok {
			x.doc[name] = withoutNulls(raw)
		}
	}
	for name, raw := range full {
		_, needed := least[name]
		keep := needed && name != "profile" || name == "hash" || name == "secrets" && string(raw) != "[]"
		if !keep && (bytes.Equal(plain[name], raw) || string(raw) == "null") || name == "profile" && string(raw) == `"default"` {
			delete(x.doc, name)
		}
	}
	// A default may depend on what was left out; what then differs is put back.
	if out, err = try(x.doc); err != nil {
		return err
	}
	for _, name := range out.Changed {
		x.doc[name] = full[name]
	}
	return nil
}

// withoutNulls takes out of the objects of a list what they do not have.
func withoutNulls(raw json.RawMessage) json.RawMessage {
	v, err := readJSON(Source{Text: raw})
	if err != nil {
		return raw
	}
	for _, e := range v.list {
		e.fields = slices.DeleteFunc(e.fields, func(f field) bool { return string(f.value.raw) == "null" })
	}
	return v.json(false)
}

// placeholders are the variables for secrets, in the order in which they were needed.
type placeholders struct {
	taken map[string]string // what for, by name
	order []string
}

// name makes a name for a variable of what it is for.
func (p *placeholders) name(what, about string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		default:
			return '_'
		}
	}, what)
	if clean[0] >= '0' && clean[0] <= '9' {
		clean = "_" + clean
	}
	name := clean
	for n := 2; p.taken[name] != ""; n++ {
		name = fmt.Sprintf("%s_%d", clean, n)
	}
	p.taken[name] = about
	p.order = append(p.order, name)
	return name
}

func (e Export) file(all map[*Kind][]*exported, names *placeholders) ([]byte, error) {
	top := &yaml.Node{Kind: yaml.MappingNode}
	set := textNode(e.Set)
	set.LineComment = "what apply makes is marked metadata " + ManagedBy + "=" + e.Set
	addField(top, "set", set)
	if e.Workspace != "" {
		addField(top, "workspace", textNode("${SALLYPORT_WORKSPACE:-"+e.Workspace+"}"))
	}
	for _, k := range kinds {
		if len(all[k]) == 0 {
			continue
		}
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, x := range all[k] {
			n, err := x.node()
			if err != nil {
				return nil, err
			}
			list.Content = append(list.Content, n)
		}
		addField(top, k.Field, list)
	}
	var b bytes.Buffer
	b.WriteString("# yaml-language-server: $schema=" + SchemaName + "\n")
	if len(names.order) > 0 {
		b.WriteString("#\n# Needs these variables:\n")
		for _, name := range names.order {
			fmt.Fprintf(&b, "#   %s  %s\n", name, names.taken[name])
		}
	}
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(top); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// SchemaName is what exported files call the schema: `sallyport apply --schema` writes it.
const SchemaName = "./provision.schema.json"

func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func addField(object *yaml.Node, name string, v *yaml.Node) {
	object.Content = append(object.Content, textNode(name), v)
}

// firstFields are those by which people know an object, in this order; the others follow.
var firstFields = []string{"code", "name", "description", "type", "config", "url", "profile", "enabled", "eventTypes", "filter", "secret", "secrets", "hash"}

func (x *exported) node() (*yaml.Node, error) {
	doc := maps.Clone(x.doc)
	delete(doc, "metadata")
	var metadata map[string]string
	_ = json.Unmarshal(x.doc["metadata"], &metadata)
	delete(metadata, ManagedBy)
	if len(metadata) > 0 {
		doc["metadata"], _ = json.Marshal(metadata)
	}
	if _, ok := x.secrets["secret"]; ok {
		doc["secret"] = nil
	}
	names := slices.SortedFunc(maps.Keys(doc), func(a, b string) int {
		place := func(s string) int {
			if n := slices.Index(firstFields, s); n >= 0 {
				return n
			}
			return len(firstFields)
		}
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range names {
		v, err := x.field(name, doc[name])
		if err != nil {
			return nil, fmt.Errorf("writing %s of %s: %w", name, x.object.Ref(), err)
		}
		addField(n, name, v)
	}
	return n, nil
}

// field is a field with placeholders in the place of secret values.
func (x *exported) field(name string, raw json.RawMessage) (*yaml.Node, error) {
	if variable, ok := x.secrets[name]; ok && name != "basicAuth" {
		return placeholder(variable), nil
	}
	n, err := jsonNode(raw)
	if err != nil {
		return nil, err
	}
	switch name {
	case "basicAuth":
		if variable, ok := x.secrets[name]; ok {
			addField(n, "password", placeholder(variable))
		}
	case "headers", "secrets":
		for i, e := range n.Content {
			if variable, ok := x.secrets[fmt.Sprintf("%s.%d", name, i)]; ok {
				addField(e, "value", placeholder(variable))
			}
		}
	}
	return n, nil
}

func placeholder(variable string) *yaml.Node { return textNode("${" + variable + ":?}") }

// jsonNode makes YAML of JSON; dollars are written so that they stay such.
func jsonNode(raw json.RawMessage) (*yaml.Node, error) {
	v, err := readJSON(Source{Text: raw})
	if err != nil {
		return nil, err
	}
	return v.node(), nil
}

func (v *value) node() *yaml.Node {
	n := &yaml.Node{}
	switch v.form {
	case isObject:
		n.Kind = yaml.MappingNode
		for _, f := range v.fields {
			addField(n, f.name, f.value.node())
		}
	case isList:
		n.Kind = yaml.SequenceNode
		flow := true
		for _, e := range v.list {
			n.Content = append(n.Content, e.node())
			flow = flow && e.form != isObject && e.form != isList
		}
		if flow {
			n.Style = yaml.FlowStyle
		}
	case isText:
		n = textNode(escape(v.text))
	case isOther:
		n.Kind, n.Value = yaml.ScalarNode, string(v.raw)
	}
	return n
}
