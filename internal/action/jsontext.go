package action

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object in the making; its members keep their order.
type object struct{ b bytes.Buffer }

// set adds a member whose value is JSON already.
func (o *object) set(name string, value []byte) *object {
	if o.b.Len() == 0 {
		o.b.WriteByte('{')
	} else {
		o.b.WriteByte(',')
	}
	o.b.Write(jsonText(name))
	o.b.WriteByte(':')
	if value == nil {
		value = []byte("null")
	}
	o.b.Write(value)
	return o
}

func (o *object) text(name, value string) *object { return o.set(name, jsonText(value)) }

// textIf adds a member unless it is empty.
func (o *object) textIf(name, value string) *object {
	if value == "" {
		return o
	}
	return o.text(name, value)
}

func (o *object) value(name string, v any) *object {
	text, err := json.Marshal(v)
	if err != nil {
		text = nil
	}
	return o.set(name, text)
}

func (o *object) bytes() []byte {
	if o.b.Len() == 0 {
		return []byte("{}")
	}
	return append(o.b.Bytes(), '}')
}

// jsonText writes a string as JSON, without the escapes that HTML would need.
func jsonText(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return []byte(`""`)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
