package inbound

import (
	"context"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

// Credentials in the query are no part of what a call says: items are kept with events,
// which viewers read and webhooks send on.
func TestCredentialsAreNoItems(t *testing.T) {
	const planted = "pl4nted-s3cr3t-of-24-chars"
	for name, query := range map[string]string{
		"as it is":         "temp=81&api_key=" + planted,
		"its name escaped": "temp=81&api%5Fkey=" + planted,
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			w.action("a")
			w.door(func(x *hook.IncomingWebhook) {
				x.Methods, x.Secrets = []string{"GET"}, []hook.NamedSecret{{Name: "key", Value: planted}}
				x.PreProcessors = []hook.PreProcessor{{Name: "key", Type: "apiKey", Parameter: "api_key", Secrets: []string{"key"}}}
				x.Routes = []hook.Route{{Name: "primary", Action: "a", Transform: "{{ item|json_encode|raw }}"}}
			})
			answer, _ := w.call(func(c *hook.DoorCall) {
				c.Method, c.RawQuery, c.Body = "GET", query, &body{}
			})
			if answer.Problem != nil {
				t.Fatal(answer.Problem)
			}
			for _, e := range w.admitted[0].Events {
				if string(e.Entity) != `{"temp":"81"}` || strings.Contains(string(e.Entity), planted) {
					t.Errorf("the event's entity is %s", e.Entity)
				}
			}
		})
	}
}

// A condition may compare any header or parameter with a secret. The check sees it, the record
// does not show it, and a later verdict knows it.
func TestSecretsThatConditionsCompare(t *testing.T) {
	const planted = "pl4nted-s3cr3t-of-24-chars"
	w := start(t)
	w.action("a")
	w.door(func(x *hook.IncomingWebhook) {
		x.Secrets = []hook.NamedSecret{{Name: "key", Value: planted}}
		x.PreProcessors = []hook.PreProcessor{{Name: "key", Type: "condition", Condition: "request.headers['X-Team'] == '" + planted + "'"}}
		x.Routes = []hook.Route{{Name: "primary", Action: "a"}}
	})
	for _, key := range []string{planted, planted + "0"} {
		answer, call := w.call(func(c *hook.DoorCall) {
			c.Header.Set("X-Team", key)
			c.Header.Set("X-Other", "seen")
			c.RawQuery = "n=1&team=pl4nted%2Ds3cr3t-of-24-chars"
		})
		var r *hook.Request
		if passes := key == planted; passes != (answer.Problem == nil) {
			t.Fatalf("%s: %v", key, answer.Problem)
		} else if passes {
			r = w.admitted[0].Request
		} else {
			r = w.refused(1)[0]
		}
		for _, h := range r.Headers {
			if h.Name == "X-Team" && !h.Redacted || h.Name == "X-Other" && h.Value != "seen" {
				t.Errorf("the record shows %+v", h)
			}
		}
		if r.RawQuery != "n=1&team="+hook.HiddenMark {
			t.Errorf("the record shows %s", r.RawQuery)
		}
		want := map[bool]hook.Verdict{true: hook.VerdictAccepted, false: hook.VerdictRefused}[key == planted]
		if verdict, _, _, err := w.d.Verify(context.Background(), hook.Principal{Workspace: w.ws}, call.ID); err != nil || verdict != want {
			t.Errorf("verified %s, %v", verdict, err)
		}
	}
}
