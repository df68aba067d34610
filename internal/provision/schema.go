package provision

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// variableSchema lets a variable stand where the contract wants something narrower than any text.
var variableSchema = map[string]any{"type": "string", "pattern": `\$\{`, "description": "A variable."}

// Schema makes the JSON Schema (2020-12) of the files from the API's contract, openapi.yaml. Its
// objects are those that the API takes, without what is read-only there.
func Schema(contract []byte) ([]byte, error) {
	var doc struct {
		Components struct {
			Schemas map[string]map[string]any `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(contract, &doc); err != nil {
		return nil, fmt.Errorf("reading the contract: %w", err)
	}
	m := &schemaMaker{from: doc.Components.Schemas, defs: map[string]any{}}
	text := func(description, pattern string) map[string]any {
		return m.open(map[string]any{"type": "string", "description": description, "pattern": pattern}).(map[string]any)
	}
	properties := map[string]any{
		"$schema":   map[string]any{"type": "string", "description": "Where this schema is, for editors of JSON."},
		"set":       text("Name of the set that these files describe: what they make carries it as metadata `managed-by`, and only what does is ever pruned.", `^[^:\x00-\x1f]{1,500}$`),
		"workspace": text("Code of the workspace; the key's own unless given.", `^[A-Za-z0-9_-]{1,64}$`),
	}
	for _, k := range kinds {
		item, err := m.item(k)
		if err != nil {
			return nil, err
		}
		m.defs[k.Input] = item
		properties[k.Field] = map[string]any{
			"type": "array", "description": "Objects by their `" + k.Key + "`.", "items": map[string]any{"$ref": "#/$defs/" + k.Input},
		}
	}
	schema := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Sallyport provisioning file",
		"description": "What `sallyport plan` and `sallyport apply` read. Texts may have variables of the environment: ${NAME}, ${NAME:-default}, ${NAME:?what it is}; $$ is a dollar.",
		"type":        "object", "properties": properties, "additionalProperties": false,
		"patternProperties": map[string]any{"^x-": map[string]any{"description": "Yours: a place for anchors."}},
		"$defs":             m.defs,
	}
	out, err := json.MarshalIndent(schema, "", "  ")
	return append(out, '\n'), err
}

type schemaMaker struct {
	from map[string]map[string]any
	defs map[string]any // what was made so far, or is being made
}

const refPrefix = "#/components/schemas/"

// item is the schema of an object of a kind in a file.
func (m *schemaMaker) item(k *Kind) (map[string]any, error) {
	input := m.from[k.Input]
	if input == nil {
		return nil, fmt.Errorf("the contract has no schema %s", k.Input)
	}
	out := m.schema(input).(map[string]any)
	properties := out["properties"].(map[string]any)
	delete(properties, "id")
	// Nobody would see what is generated: a file that is applied needs its own.
	delete(properties, "generateSecret")
	required := []any{k.Key}
	if listed, ok := out["required"].([]any); ok {
		for _, name := range listed {
			if name != k.Key {
				required = append(required, name)
			}
		}
	}
	out["required"] = required
	return out, nil
}

// schema converts a schema of the contract. Its parts go to defs under their own names.
func (m *schemaMaker) schema(s any) any {
	switch s := s.(type) {
	case map[string]any:
		if ref, ok := s["$ref"].(string); ok {
			return m.reference(ref, s)
		}
		out := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(s)) {
			switch {
			case strings.HasPrefix(key, "x-") || key == "writeOnly" || key == "readOnly":
			case key == "properties":
				out[key] = m.properties(s[key].(map[string]any))
			case key == "items" || key == "additionalProperties" || key == "not":
				out[key] = m.schema(s[key])
			case key == "anyOf" || key == "oneOf" || key == "allOf":
				branches := []any{}
				for _, b := range s[key].([]any) {
					branches = append(branches, m.schema(b))
				}
				out[key] = branches
			default:
				out[key] = s[key]
			}
		}
		return m.open(out)
	default:
		return s
	}
}

func (m *schemaMaker) reference(ref string, s map[string]any) any {
	name := strings.TrimPrefix(ref, refPrefix)
	if _, ok := m.defs[name]; !ok {
		m.defs[name] = nil // it may refer to itself
		m.defs[name] = m.schema(m.from[name])
	}
	out := map[string]any{"$ref": "#/$defs/" + name}
	for _, key := range []string{"description", "default", "examples"} {
		if beside, ok := s[key]; ok {
			out[key] = beside
		}
	}
	return out
}

// properties leaves out what the API ignores.
func (m *schemaMaker) properties(from map[string]any) map[string]any {
	out := map[string]any{}
	for name, s := range from {
		if p, ok := s.(map[string]any); ok && p["$ref"] == refPrefix+"Ignored" {
			continue
		}
		out[name] = m.schema(s)
	}
	return out
}

// open lets variables stand for a text with a narrower form, a number or a truth value.
func (m *schemaMaker) open(s map[string]any) any {
	narrow := false
	for _, key := range []string{"pattern", "enum", "minLength", "maxLength", "format"} {
		_, has := s[key]
		narrow = narrow || has
	}
	switch {
	case hasType(s, "string"):
		if !narrow {
			return s
		}
	case !hasType(s, "integer") && !hasType(s, "number") && !hasType(s, "boolean"):
		return s
	}
	out := map[string]any{"anyOf": []any{s, variableSchema}}
	for _, key := range []string{"description", "default", "examples"} {
		if moved, ok := s[key]; ok {
			out[key] = moved
			delete(s, key)
		}
	}
	return out
}

func hasType(s map[string]any, want string) bool {
	switch t := s["type"].(type) {
	case string:
		return t == want
	case []any:
		return slices.Contains(t, any(want))
	}
	return false
}
