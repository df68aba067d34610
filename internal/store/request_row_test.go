package store

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
)

// keyed is a sealer that shows whether what was sealed opens in its own place only.
type keyed struct{}

func (keyed) Seal(plain []byte, ad string) ([]byte, error) {
	out := append([]byte(ad), 0)
	for _, b := range plain {
		out = append(out, b^0x5a)
	}
	return out, nil
}

func (keyed) Open(cipher []byte, ad string) ([]byte, error) {
	rest, ok := bytes.CutPrefix(cipher, append([]byte(ad), 0))
	if !ok {
		return nil, errors.New("sealed for another place")
	}
	out := make([]byte, 0, len(rest))
	for _, b := range rest {
		out = append(out, b^0x5a)
	}
	return out, nil
}

func TestRequestRowRoundTrip(t *testing.T) {
	t.Parallel()
	s := &Store{}
	s.SetSealer(keyed{})
	offset := -30*time.Second - 7
	whole := &hook.Request{
		ID: hook.NewIDs().New(), Workspace: hook.NewIDs().New(), Method: "POST", Path: "/in/st\xfcck", RawQuery: "hash=[redacted]&x=\xff\"",
		Headers: []hook.HeaderField{{Name: "X-Two", Value: "a"}, {Name: "Authorization", Redacted: true}, {Name: "X-Two", Value: "b\xe9\x00<"}, {Name: "Cookie", Redacted: true}},
		Body:    hook.Body{Size: 70000, Truncated: true, SHA256: bytes.Repeat([]byte{7}, 32)}, ClientAddress: "2001:db8::1", PeerAddress: "10.0.0.2",
		ForwardedBy: "X-Forwarded-For", ClockOffset: &offset, Hops: 3,
		Checks: []hook.Check{{Name: "method", Result: hook.CheckPassed}, {Name: "hash", Result: hook.CheckFailed, Detail: "no instant within 30s matched “it”"}},
		Hidden: []hook.HiddenValue{{In: "query", Name: "hash", Value: "topsecret"}, {In: "header", Name: "X-\xfc", Value: "\xff\xfe"}},
	}
	for name, r := range map[string]*hook.Request{"all": whole, "nothing": {ID: whole.ID, Workspace: whole.Workspace}} {
		detail, sealed, err := s.requestColumns(r)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(detail, []byte("topsecret")) || bytes.Contains(sealed, []byte("topsecret")) {
			t.Errorf("%s: a credential lies in clear: %s %s", name, detail, sealed)
		}
		if (sealed == nil) != (r.Hidden == nil) {
			t.Errorf("%s: sealed = %q", name, sealed)
		}
		back := &hook.Request{ID: r.ID, Workspace: r.Workspace}
		if err := errors.Join(readDetail(back, detail), s.openHidden(back, sealed)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, r) {
			t.Errorf("%s came back as %+v, want %+v", name, back, r)
		}
		if elsewhere := (&hook.Request{ID: r.Workspace, Workspace: r.Workspace}); sealed != nil && s.openHidden(elsewhere, sealed) == nil {
			t.Errorf("%s: credentials of one request open in another", name)
		}
	}
}

func TestRequestBodyLiesInItsEventOnly(t *testing.T) {
	t.Parallel()
	r := &hook.Request{ID: hook.NewIDs().New(), Body: hook.Body{Bytes: []byte(`{"a":1}`)}}
	first := hook.RequestEventKey(r.ID, 0)
	for name, c := range map[string]struct {
		event *hook.Event
		in    bool
	}{
		"no event":            {nil, false},
		"the same bytes":      {&hook.Event{Key: first, Entity: []byte(`{"a":1}`)}, true},
		"other bytes":         {&hook.Event{Key: first, Entity: []byte(`{"a": 1}`)}, false},
		"the second event":    {&hook.Event{Key: hook.RequestEventKey(r.ID, 1), Entity: []byte(`{"a":1}`)}, false},
		"an event of another": {&hook.Event{Key: hook.NewIDs().New(), Entity: []byte(`{"a":1}`)}, false},
	} {
		body, in := requestBody(r, c.event)
		if in != c.in || (body == nil) != c.in {
			t.Errorf("%s: body %q, in event %v", name, body, in)
		}
	}
	if body, in := requestBody(&hook.Request{ID: r.ID}, &hook.Event{Key: first}); body != nil || in {
		t.Errorf("no body: %q, %v", body, in)
	}
}

func TestRequestCodeIsText(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"erp-stock": "erp-stock", "a\x00b\xff": "a\uFFFDb\uFFFD", strings.Repeat("ü", 150): strings.Repeat("ü", 100)} {
		if got := requestCode(code); got != want {
			t.Errorf("%q = %q, want %q", code, got, want)
		}
	}
}

func BenchmarkRequestColumns(b *testing.B) {
	s := &Store{}
	s.SetSealer(keyed{})
	r := &hook.Request{
		ID: hook.NewIDs().New(), Method: "POST", Path: "/in/erp-stock", RawQuery: "hash=[redacted]", ClientAddress: "203.0.113.9", PeerAddress: "10.0.0.2",
		Headers: []hook.HeaderField{{Name: "Content-Type", Value: "application/json"}, {Name: "User-Agent", Value: "curl/8.1"}, {Name: "Accept", Value: "*/*"}},
		Checks:  []hook.Check{{Name: "method", Result: "passed"}, {Name: "ip", Result: "passed"}, {Name: "hash", Result: "passed"}},
		Hidden:  []hook.HiddenValue{{In: "query", Name: "hash", Value: "0123456789abcdef"}},
	}
	for b.Loop() {
		if _, _, err := s.requestColumns(r); err != nil {
			b.Fatal(err)
		}
	}
}
