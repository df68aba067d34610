package provision

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxValues bounds what aliases may blow a file up to.
const maxValues = 200_000

// maxDepth bounds how deep a file may be nested.
const maxDepth = 200

// read returns the documents of a file: YAML, of which several may follow each other, or JSON.
func read(s Source) ([]*value, error) {
	if len(bytes.TrimSpace(s.Text)) == 0 {
		return nil, nil
	}
	if strings.EqualFold(filepath.Ext(s.Name), ".json") || bytes.HasPrefix(bytes.TrimSpace(s.Text), []byte("{")) {
		v, err := readJSON(s)
		if err == nil || strings.EqualFold(filepath.Ext(s.Name), ".json") {
			return []*value{v}, err
		}
		// YAML may begin with a brace, too.
	}
	return readYAML(s)
}

func readYAML(s Source) ([]*value, error) {
	var documents []*value
	d := yaml.NewDecoder(bytes.NewReader(s.Text))
	r := &yamlReader{file: s.Name}
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return documents, r.faults.err()
		}
		if err != nil {
			return nil, Faults{yamlFault(s.Name, err)}
		}
		if len(n.Content) == 0 || n.Content[0].Tag == "!!null" {
			continue // only comments
		}
		documents = append(documents, r.value(n.Content[0], 0))
	}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// yamlFault takes the line out of the library's message.
func yamlFault(file string, err error) *Fault {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		return &Fault{Place: Place{File: file}, Problem: "is not YAML: " + err.Error()}
	}
	line, _ := strconv.Atoi(m[1])
	return &Fault{Place: Place{file, line}, Problem: "is not YAML: " + strings.TrimPrefix(err.Error(), m[0])}
}

type yamlReader struct {
	file   string
	faults Faults
	count  int
}

// value makes a value of a node. A fault leaves null in its place.
func (r *yamlReader) value(n *yaml.Node, depth int) *value {
	v := &value{place: Place{r.file, n.Line}, form: isOther, raw: json.RawMessage("null")}
	if r.count++; r.count > maxValues || depth > maxDepth {
		if len(r.faults) == 0 {
			r.faults.add(v.place, "the file is too large or nested too deep")
		}
		return v
	}
	switch n.Kind {
	case yaml.AliasNode:
		out := *r.value(n.Alias, depth+1)
		out.place = v.place
		return &out
	case yaml.MappingNode:
		v.form = isObject
		r.object(v, n, depth)
	case yaml.SequenceNode:
		v.form = isList
		for _, e := range n.Content {
			v.list = append(v.list, r.value(e, depth+1))
		}
	default:
		r.scalar(v, n)
	}
	return v
}

// object reads fields; those of a merge key (<<) count where the mapping has none itself.
func (r *yamlReader) object(v *value, n *yaml.Node, depth int) {
	var merged []field
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, content := n.Content[i], n.Content[i+1]
		at := Place{r.file, key.Line}
		switch {
		case key.Tag == "!!merge":
			merged = append(merged, r.merge(content, depth)...)
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str" && key.Tag != "!!int" && key.Tag != "!!bool":
			r.faults.add(at, "the name of a field must be a text")
		case v.get(key.Value) != nil:
			r.faults.add(at, "%q is there twice", key.Value)
		default:
			v.fields = append(v.fields, field{name: key.Value, place: at, value: r.value(content, depth+1)})
		}
	}
	for _, f := range merged {
		if v.get(f.name) == nil {
			v.fields = append(v.fields, f)
		}
	}
}

func (r *yamlReader) merge(n *yaml.Node, depth int) []field {
	if n.Kind == yaml.SequenceNode {
		var out []field
		for _, e := range n.Content {
			out = append(out, r.merge(e, depth+1)...)
		}
		return out
	}
	v := r.value(n, depth+1)
	if v.form != isObject {
		r.faults.add(v.place, "<< takes a mapping, or a list of some")
	}
	return v.fields
}

func (r *yamlReader) scalar(v *value, n *yaml.Node) {
	switch n.Tag {
	case "!!str", "!!timestamp": // JSON has no times: one is a text here as there
		v.form, v.text = isText, n.Value
	case "!!null":
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			r.faults.add(v.place, "%q is neither true nor false", n.Value)
			return
		}
		v.raw = json.RawMessage(strconv.FormatBool(b))
	case "!!int", "!!float":
		raw, err := number(n)
		if err != nil {
			r.faults.add(v.place, "%s", err)
			return
		}
		v.raw = raw
	default:
		r.faults.add(v.place, "%s has no meaning here", n.Tag)
	}
}

// number keeps what JSON can write as it was written.
func number(n *yaml.Node) (json.RawMessage, error) {
	if raw := []byte(n.Value); json.Valid(raw) {
		return raw, nil
	}
	var whole int64
	if n.Tag == "!!int" && n.Decode(&whole) == nil { // 0x1F, 0o17, 1_000
		return strconv.AppendInt(nil, whole, 10), nil
	}
	var f float64
	if err := n.Decode(&f); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, fmt.Errorf("%s is no number that JSON has", n.Value)
	}
	return json.Marshal(f)
}

// jsonReader reads JSON itself, since YAML lacks its surrogate pairs and dislikes its tabs.
type jsonReader struct {
	Source
	d *json.Decoder
}

func readJSON(s Source) (*value, error) {
	r := &jsonReader{Source: s, d: json.NewDecoder(bytes.NewReader(s.Text))}
	r.d.UseNumber()
	v, err := r.value(0)
	if err == nil {
		if _, err = r.d.Token(); err == nil {
			err = errors.New("there is something after the end")
		} else if errors.Is(err, io.EOF) {
			return v, nil
		}
	}
	var known Faults
	if errors.As(err, &known) {
		return nil, err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("it ends too early")
	}
	return nil, Faults{{Place: r.here(), Problem: "is not JSON: " + err.Error()}}
}

// here is the line that the decoder has come to.
func (r *jsonReader) here() Place {
	read := r.Text[:min(int(r.d.InputOffset()), len(r.Text))]
	return Place{r.Name, 1 + bytes.Count(read, []byte("\n"))}
}

func (r *jsonReader) value(depth int) (*value, error) {
	t, err := r.d.Token()
	if err != nil {
		return nil, err
	}
	v := &value{place: r.here(), form: isOther}
	if depth > maxDepth {
		return nil, Faults{{Place: v.place, Problem: "is nested too deep"}}
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			v.form = isObject
			return v, r.object(v, depth)
		}
		v.form = isList
		for r.d.More() {
			e, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			v.list = append(v.list, e)
		}
		_, err = r.d.Token()
		return v, err
	case string:
		v.form, v.text = isText, t
	case json.Number:
		v.raw = json.RawMessage(t)
	case bool:
		v.raw = json.RawMessage(strconv.FormatBool(t))
	default:
		v.raw = json.RawMessage("null")
	}
	return v, nil
}

func (r *jsonReader) object(v *value, depth int) error {
	for r.d.More() {
		name, err := r.d.Token()
		if err != nil {
			return err
		}
		at := r.here()
		content, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		if v.get(name.(string)) != nil {
			return Faults{{Place: at, Problem: fmt.Sprintf("%q is there twice", name)}}
		}
		v.fields = append(v.fields, field{name: name.(string), place: at, value: content})
	}
	_, err := r.d.Token()
	return err
}
