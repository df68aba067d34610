package profile_test

import (
	"strings"
	"testing"

	"sallyport/internal/hook"
	"sallyport/internal/profile"
)

func BenchmarkRender(b *testing.B) {
	e := order()
	e.Entity = []byte(`{"total":12,"text":"` + strings.Repeat("x", 1000) + `"}`)
	for _, name := range []string{"default", "mixpost", "github"} {
		b.Run(name, func(b *testing.B) {
			w := &hook.Webhook{ID: hookID, WebhookSpec: hook.WebhookSpec{Method: "POST", Profile: name, IncludeEntity: true},
				Secrets: []hook.Secret{{Value: secret}}}
			c := profile.Compile(w, "")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Render(e, delivery, 1, at); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	w := &hook.Webhook{ID: hookID, WebhookSpec: hook.WebhookSpec{Method: "POST", Profile: "default"}, Secrets: []hook.Secret{{Value: secret}}}
	b.ReportAllocs()
	for b.Loop() {
		profile.Compile(w, "")
	}
}
