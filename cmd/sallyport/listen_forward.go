package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/profile"
	"sallyport/internal/send"
	"sallyport/internal/signature"
)

// forwarding is what the flags of listen say about it.
type forwarding struct{ webhook, secret, profile string }

// forwarder sends events to one URL as the server's worker would.
type forwarder struct {
	sender  *send.Sender
	webhook *hook.Webhook
	ids     *hook.IDs
	secret  string
	known   bool // the signature is one that can be checked here

	sent      int
	succeeded int
}

// open finds out how the webhook's requests look. Its secrets nobody can read: requests are
// signed with one that is given, or made here.
func (f *forwarding) open(ctx context.Context, r *remote, target string, notes io.Writer) (*forwarder, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usageError(fmt.Errorf("--forward: %q is not a URL such as http://localhost:3000/hooks", target))
	}
	if f.profile != "" && !slices.Contains(profile.Names(), f.profile) {
		return nil, usageError(fmt.Errorf("--profile: there are %s", strings.Join(profile.Names(), ", ")))
	}
	w := &hook.Webhook{WebhookSpec: hook.WebhookSpec{Method: http.MethodPost, Profile: "default", IncludeEntity: true}}
	if f.webhook != "" {
		if err := f.like(ctx, r, w, notes); err != nil {
			return nil, err
		}
	}
	w.URL, w.Profile = target, cmp.Or(f.profile, w.Profile)
	w.Timeout, w.SuccessCodes = 30*time.Second, []string{"2xx"}
	secret := f.secret
	if secret == "" {
		var b [24]byte
		rand.Read(b[:]) // never fails
		secret = "whsec_" + base64.StdEncoding.EncodeToString(b[:])
		fmt.Fprintf(notes, "signing with %s\n", secret)
	}
	w.Secrets = []hook.Secret{{Value: hook.Sensitive(secret)}}
	if err := profile.Compile(w, "").Err(); err != nil {
		return nil, usageError(err)
	}
	// Whoever names a URL on his own command line may reach it.
	guard, err := send.NewGuard([]string{"0.0.0.0/0", "::/0"}, nil)
	if err != nil {
		return nil, err
	}
	ids := hook.NewIDs()
	return &forwarder{
		sender:  send.New(send.Config{Guard: guard, IDs: ids, UserAgent: "Sallyport/" + version, RequestKept: 1 << 30}),
		webhook: w, ids: ids, secret: secret, known: w.Signature == nil,
	}, nil
}

// like takes over how a webhook's requests look.
func (f *forwarding) like(ctx context.Context, r *remote, w *hook.Webhook, notes io.Writer) error {
	var got struct {
		ID            hook.ID
		Number        int64
		Method        string
		ContentType   string
		Profile       string
		IncludeEntity bool
		Signature     *hook.CustomSignature
		Headers       []struct {
			Name   string
			Value  *string
			Secret bool
		}
	}
	if _, err := r.json(ctx, remoteRequest{method: http.MethodGet, path: "/v1/webhooks/" + url.PathEscape(f.webhook)}, &got); err != nil {
		return err
	}
	w.ID, w.Number = got.ID, got.Number
	w.Method, w.ContentType, w.Profile, w.IncludeEntity, w.Signature = got.Method, got.ContentType, got.Profile, got.IncludeEntity, got.Signature
	for _, h := range got.Headers {
		if h.Value == nil {
			fmt.Fprintf(notes, "the header %s is left out: its value is secret\n", h.Name)
			continue
		}
		w.Headers = append(w.Headers, hook.Header{Name: h.Name, Value: hook.Sensitive(*h.Value)})
	}
	return nil
}

func (f *forwarder) close() { f.sender.Close() }

// forwardTries is how often a receiver that does not answer is tried.
const forwardTries = 3

// send sends one event and says what came of it.
func (f *forwarder) send(ctx context.Context, e *hook.Event) string {
	d := hook.Delivery{ID: f.ids.New()}
	var a hook.Attempt
	for try := 1; ; try++ {
		a = f.sender.Send(ctx, f.webhook, e, d, try, hook.TriggerFirst)
		if a.Response != nil || a.Permanent || try == forwardTries || pause(ctx, time.Duration(try)*500*time.Millisecond) != nil {
			break
		}
	}
	if a.Response == nil {
		return "NOT forwarded: " + visible(a.Error)
	}
	f.sent++
	if a.Outcome == hook.OutcomeSucceeded {
		f.succeeded++
	}
	return fmt.Sprintf("-> %d in %s  %s", a.Response.Status, a.Timings.Total.Round(100*time.Microsecond), f.signature(&a))
}

// signature checks what was sent as a receiver would.
func (f *forwarder) signature(a *hook.Attempt) string {
	if !f.known {
		return "signed in a way of the webhook's own"
	}
	header := http.Header{}
	for _, h := range a.Request.Headers {
		header.Add(h.Name, h.Value)
	}
	found := signature.VerifyAll(f.secret, header, a.Request.Body.Bytes, a.StartedAt, time.Minute)
	for _, s := range found {
		if s.Err != nil {
			return "signature NOT valid: " + s.Err.Error()
		}
	}
	if len(found) == 0 {
		return "not signed"
	}
	return "signature ok"
}
