package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// fakeServer keeps objects in memory. It knows of the API's rules those that decide about the
// order of changes: routes name actions that exist, names of webhooks are unique, what is used stays.
type fakeServer struct {
	mu      sync.Mutex
	objects map[string]*fakeObject
	calls   []string // writes, in order
	fail    string   // the write that fails
}

type fakeObject struct {
	id, version int
	doc         map[string]any
}

func newFakeServer() *fakeServer { return &fakeServer{objects: map[string]*fakeObject{}} }

func (f *fakeServer) object(k *Kind, code string, o *fakeObject) (*Object, error) {
	doc := maps.Clone(o.doc)
	doc["id"], doc["version"], doc[k.Key] = fmt.Sprint(o.id), o.version, code
	raw, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	return NewObject(k, raw, "")
}

func (f *fakeServer) Get(_ context.Context, k *Kind, code string) (*Object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[key(k, code)]
	if o == nil {
		return nil, nil
	}
	return f.object(k, code, o)
}

func (f *fakeServer) List(_ context.Context, k *Kind, set string) ([]*Object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []*Object
	for _, name := range slices.Sorted(maps.Keys(f.objects)) {
		code, ok := strings.CutPrefix(name, k.Field+"/")
		if !ok {
			continue
		}
		o, err := f.object(k, code, f.objects[name])
		if err != nil {
			return nil, err
		}
		if set == "" || o.Set == set {
			list = append(list, o)
		}
	}
	return list, nil
}

func (f *fakeServer) guarded(o *fakeObject, ifMatch string, ifNew bool) error {
	if ifNew && o != nil || ifMatch != "" && (o == nil || ifMatch != fmt.Sprintf(`"%d"`, o.version)) {
		return &Refusal{Status: 412, Code: "precondition_failed", Detail: "it is another"}
	}
	return nil
}

func (f *fakeServer) Put(_ context.Context, k *Kind, code string, body []byte, how Put) (*Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := key(k, code)
	now := f.objects[id]
	if err := f.guarded(now, how.IfMatch, how.IfNew); err != nil {
		return nil, err
	}
	doc := map[string]any{}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	if err := f.refuse(k, id, doc); err != nil {
		return nil, err
	}
	out := &Outcome{Result: "created", Doc: body}
	if now != nil {
		out.Result = "unchanged"
		for _, name := range slices.Sorted(maps.Keys(doc)) {
			if !reflect.DeepEqual(doc[name], now.doc[name]) {
				out.Result, out.Changed = "updated", append(out.Changed, name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(now.doc)) {
			if _, ok := doc[name]; !ok {
				out.Result, out.Changed = "updated", append(out.Changed, name)
			}
		}
	}
	if how.DryRun {
		return out, nil
	}
	f.calls = append(f.calls, "put "+id)
	if f.fail == "put "+id {
		return nil, fmt.Errorf("the line is cut")
	}
	if now == nil {
		now = &fakeObject{id: len(f.calls)}
		f.objects[id] = now
	}
	now.version++
	now.doc = doc
	return out, nil
}

func (f *fakeServer) refuse(k *Kind, id string, doc map[string]any) error {
	r := &Refusal{Status: 422, Code: "validation_failed", Detail: "wrong"}
	if routes, ok := doc["routes"].([]any); ok {
		for n, route := range routes {
			action, _ := route.(map[string]any)["action"].(string)
			if f.objects["actions/"+action] == nil {
				r.Faults = append(r.Faults, RefusalFault{Pointer: fmt.Sprintf("/routes/%d/action", n), Field: fmt.Sprintf("routes[%d].action", n), Code: "unknown_action", Detail: "no such action"})
			}
		}
	}
	if doc["description"] == "refused" {
		r.Faults = append(r.Faults, RefusalFault{Pointer: "/description", Field: "description", Code: "invalid_format", Detail: "is not liked"})
	}
	if len(r.Faults) > 0 {
		return r
	}
	if name, ok := doc["name"].(string); ok && k.Field == "webhooks" {
		for other, o := range f.objects {
			if other != id && strings.HasPrefix(other, "webhooks/") && o.doc["name"] == name {
				return &Refusal{Status: 409, Code: "name_taken", Detail: "the name is taken", Owner: fmt.Sprint(o.id)}
			}
		}
	}
	return nil
}

func (f *fakeServer) Delete(_ context.Context, k *Kind, code, etag string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := key(k, code)
	o := f.objects[id]
	if o == nil {
		return false, nil
	}
	if err := f.guarded(o, etag, false); err != nil {
		return false, err
	}
	for other, user := range f.objects {
		if raw, _ := json.Marshal(user.doc["routes"]); k.Field == "actions" && strings.Contains(string(raw), `"`+code+`"`) {
			return false, &Refusal{Status: 409, Code: "in_use", Detail: "it is used", UsedBy: []string{other}}
		}
	}
	f.calls = append(f.calls, "delete "+id)
	delete(f.objects, id)
	return true, nil
}
