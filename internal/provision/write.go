package provision

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Fields is an object that is to be written, with its fields in order. Values are texts, Variables,
// numbers, truth values, nil, Fields and lists of these; a text is written so that it stays what it is,
// dollars included.
type Fields []Field

// Field is one of them.
type Field struct {
	Name  string
	Value any
}

// With is the object with one more field.
func (f Fields) With(name string, value any) Fields {
	return append(f, Field{Name: name, Value: value})
}

// Variable is a variable without which the file cannot be applied.
type Variable string

// WriteFile writes a file: comments at its head, objects by the names of their kinds, comments at its end.
func WriteFile(set string, head []string, objects map[string][]Fields, foot []string) ([]byte, error) {
	top := &yaml.Node{Kind: yaml.MappingNode}
	addField(top, "set", textNode(escape(set)))
	for _, k := range kinds {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, o := range objects[k.Field] {
			list.Content = append(list.Content, anyNode(o))
		}
		if len(list.Content) > 0 {
			addField(top, k.Field, list)
		}
	}
	var b bytes.Buffer
	comment(&b, append([]string{"yaml-language-server: $schema=" + SchemaName}, head...))
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(top); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	if len(foot) > 0 {
		b.WriteByte('\n')
		comment(&b, foot)
	}
	return b.Bytes(), nil
}

func comment(b *bytes.Buffer, lines []string) {
	for _, line := range lines {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
}

func anyNode(v any) *yaml.Node {
	switch v := v.(type) {
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: "null"}
	case string:
		return textNode(escape(v))
	case Variable:
		return placeholder(string(v))
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatBool(v)}
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.Itoa(v)}
	case Fields:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, f := range v {
			addField(n, f.Name, anyNode(f.Value))
		}
		return n
	case []Fields:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, f := range v {
			n.Content = append(n.Content, anyNode(f))
		}
		return n
	case []string:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, s := range v {
			n.Content = append(n.Content, anyNode(s))
			if len(s) > 40 {
				n.Style = 0
			}
		}
		return n
	default:
		panic(fmt.Sprintf("provision: %T cannot be written", v))
	}
}
