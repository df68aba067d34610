package main

import (
	"strings"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/inbound"
)

// A body of many items is read once for the conditions of all of them: 400 times 2 MB would
// take minutes.
func TestConditionsReadABodyOnce(t *testing.T) {
	text := []byte("[" + strings.Repeat(`{"sku":"A-1","n":1},`, 100_000) + "0]")
	r := &hook.Request{Body: hook.Body{Bytes: text}}
	reads := 0
	kept := map[string]any{}
	for i := range 400 {
		s := &inbound.Scene{
			Request: r, Door: &hook.IncomingWebhook{}, Item: []byte(`{"n":1}`), Now: time.Unix(0, 0), Kept: kept,
			Body: func() []byte {
				reads++
				return text
			},
		}
		if ok, err := (doorTemplates{}).Condition("item.n == 1 and request.body[0].n == 1", s); err != nil || !ok {
			t.Fatalf("condition %d: %t, %v", i, ok, err)
		}
	}
	if reads != 1 {
		t.Errorf("the body was read %d times", reads)
	}
}

// Of a door that has lost a secret, a condition that names it is an error and not a
// comparison of nothing with nothing.
func TestConditionsNeedTheSecretsTheyName(t *testing.T) {
	s := &inbound.Scene{Request: &hook.Request{}, Door: &hook.IncomingWebhook{}, Now: time.Unix(0, 0), Kept: map[string]any{}}
	if ok, err := (doorTemplates{}).Condition("request.headers['X-Token'] == secrets.token", s); err == nil {
		t.Errorf("a missing header equals a missing secret: %t", ok)
	}
}
