package inbound

import (
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
