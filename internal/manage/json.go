package manage

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// maxJSON bounds JSON that lies within configuration: templates of 64 KiB may be in it.
const maxJSON = 256 << 10

// jsonObject reads an object as it is written, without white space between; nil if it is
// absent or null.
func (o *object) jsonObject(name string) []byte {
	if raw := o.raw(name); raw != nil && !isNull(raw) && raw[0] != '{' {
		o.fault(o.at(name), "invalid_format", "must be an object, not %s", abbreviated(raw))
		return nil
	}
	return o.json(name, maxJSON)
}

// sameJSON compares what JSON says, not how it is written.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := decoded(a)
	y, errY := decoded(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func decoded(raw []byte) (v any, err error) {
	if len(raw) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}
