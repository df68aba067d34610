package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
)

// property is a member of a JSON object; objects are lists of them, to keep their order.
type property struct {
	name  string
	value json.RawMessage
}

func isObject(raw []byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '{' && json.Valid(raw)
}

// mergePatch applies an RFC 7396 merge patch to an object. Members keep their order and
// numbers their digits; new members follow.
func mergePatch(target, patch []byte) ([]byte, error) {
	return merge(target, patch, 0)
}

func merge(target, patch []byte, depth int) ([]byte, error) {
	if depth > maxDocumentDepth {
		return nil, errDepth
	}
	if !isObject(patch) {
		return patch, nil
	}
	var members []property
	if isObject(target) {
		var err error
		if members, err = properties(target); err != nil {
			return nil, err
		}
	}
	changes, err := properties(patch)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		i := len(members)
		for j := range members {
			if members[j].name == c.name {
				i = j
			}
		}
		if string(bytes.TrimSpace(c.value)) == "null" {
			if i < len(members) {
				members = append(members[:i], members[i+1:]...)
			}
			continue
		}
		var old []byte
		if i < len(members) {
			old = members[i].value
		} else {
			members = append(members, property{name: c.name})
		}
		if members[i].value, err = merge(old, c.value, depth+1); err != nil {
			return nil, err
		}
	}
	out := new(object)
	for _, m := range members {
		out.set(m.name, m.value)
	}
	return out.bytes(), nil
}

// properties reads an object; the last of repeated names wins.
func properties(raw []byte) ([]property, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var list []property
	at := map[string]int{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("not a JSON object")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		if i, ok := at[name]; ok {
			list[i].value = value
			continue
		}
		at[name] = len(list)
		list = append(list, property{name, value})
	}
	return list, nil
}

// sameJSON reports whether two documents say the same; the order of members does not count,
// the digits of numbers do.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := decoded(a)
	y, errY := decoded(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func decoded(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}
