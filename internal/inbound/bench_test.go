package inbound

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"sallyport/internal/hook"
)

// quick is a world whose store and metrics cost nothing, so that the benchmark shows the door.
type quick struct{ *world }

func (quick) Admit(context.Context, *hook.View, *hook.Admission) (hook.ID, error) {
	return hook.NoID, nil
}
func (quick) DoorCall(string, hook.Verdict, string) {}
func (quick) Called(hook.ID, hook.Verdict)          {}

func BenchmarkServe(b *testing.B) {
	w := start(b)
	w.door(func(x *hook.IncomingWebhook) {
		x.Hash = minuteHash
		x.Routes = []hook.Route{{Name: "primary", Action: "publish"}}
	})
	w.action("publish")
	w.cached = w.view()
	d := New(w.d.cfg, w, quick{w}, w, fakeTemplates{}, w, quick{w}, slog.New(slog.DiscardHandler))
	id := w.ids.New()
	sum := md5.Sum([]byte("your-string-here" + hook.TimeOf(id).UTC().Format("2006-01-02_15-04")))
	in := &body{bytes: []byte(`{"call":"0000000001","text":"` + strings.Repeat("x", 990) + `"}`)}
	header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {"1024"}, "User-Agent": {"sallyport-bench"}}
	client := netip.MustParseAddr("203.0.113.9")
	query := "hash=" + hex.EncodeToString(sum[:])
	b.ReportAllocs()
	for b.Loop() {
		a := d.Serve(b.Context(), &hook.DoorCall{
			ID: id, Profile: hook.DoorDefault, Code: "erp-stock", Method: "POST", Path: "/in/erp-stock", RawQuery: query,
			Header: header, Client: client, Peer: client, Body: in,
		})
		if a.Problem != nil {
			b.Fatal(a.Problem)
		}
	}
}
