package manage

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
	"sallyport/internal/profile"
)

// Rules of signing secrets, as of the contract.
const (
	secretPrefix   = "whsec_"
	secretRandom   = 32 // bytes; Standard Webhooks wants 24 to 64
	minSecret      = 8  // of the profiles that ask for the least
	maxSecret      = 256
	maxLive        = 3 // at once
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 30 * 24 * time.Hour
)

// newSecret generates a secret in the form of Standard Webhooks.
func newSecret() hook.Sensitive {
	b := make([]byte, secretRandom)
	_, _ = rand.Read(b) // never fails
	return hook.Sensitive(secretPrefix + base64.StdEncoding.EncodeToString(b))
}

// givenSecret reads a secret from elsewhere; "" if there is none, or a fault.
func (o *object) givenSecret(name string, shortest int) hook.Sensitive {
	if !o.has(name) {
		return ""
	}
	if o.isNull(name) {
		o.fault(o.at(name), "empty_secret", "is null; is the variable that should hold it unset? To remove the secret, DELETE .../secret")
		return ""
	}
	var s string
	if !o.value(name, "a string", &s) {
		return ""
	}
	n := utf8.RuneCountInString(s)
	switch {
	case s == "":
		o.fault(o.at(name), "empty_secret", "is empty; is the variable that should hold it unset? To remove the secret, DELETE .../secret")
	case n < shortest:
		o.fault(o.at(name), "too_short", "has %d characters; at least %d are needed", n, shortest)
	case n > maxSecret:
		o.fault(o.at(name), "too_long", "has %d characters; at most %d are allowed", n, maxSecret)
	case hook.HasControl(s):
		o.fault(o.at(name), "invalid_format", "must not contain control characters; does it end in a line break?")
	case strings.HasPrefix(s, secretPrefix) && !isBase64(s[len(secretPrefix):]):
		o.fault(o.at(name), "invalid_format", "what follows whsec_ must be base64")
	default:
		return hook.Sensitive(s)
	}
	return ""
}

func isBase64(s string) bool {
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) > 0
}

// secret reads the field secret: the current one changes nothing, another rotates.
func (r *webhookReader) secret() {
	given := r.givenSecret("secret", r.d.MinSecret)
	if given == "" {
		return
	}
	r.next.Secrets = rotated(r.next.Secrets, given, r.scene.Now, defaultOverlap, false)
}

// rotated makes given the current secret. The one before stays for the overlap, older
// ones for as long as they were promised; cut says that none may outlive the overlap.
// At most three live at once: a fourth ends the oldest. secrets are oldest first.
func rotated(secrets []hook.Secret, given hook.Sensitive, now time.Time, overlap time.Duration, cut bool) []hook.Secret {
	if n := len(secrets); n > 0 && secrets[n-1].Value == given && secrets[n-1].ExpiresAt == nil {
		return secrets
	}
	end := now.Add(overlap)
	var out []hook.Secret
	for _, x := range secrets {
		if x.ExpiresAt == nil || cut && x.ExpiresAt.After(end) {
			x.ExpiresAt = &end
		}
		if x.Value != given && x.Live(now) { // going back to an old one ends its old life
			out = append(out, x)
		}
	}
	out = append(out, hook.Secret{Value: given, CreatedAt: now})
	return out[max(0, len(out)-maxLive):]
}

// RotateSecret makes a new secret current: {"secret": given, "overlap": "24h"}, all
// optional. Without a given one it is generated.
func (s *Service) RotateSecret(ctx context.Context, p hook.Principal, ref string, doc []byte) (hook.RotateResult, error) {
	fresh := newSecret()
	var res hook.RotateResult
	var known []string
	w, err := s.store.EditWebhook(hook.WithVerb(ctx, hook.AuditRotateSecret), p.Workspace, ref, false, func(scene hook.WebhookScene) (*hook.Webhook, error) {
		known, res = typeNames(scene.Types), hook.RotateResult{}
		if scene.Current == nil {
			return nil, hook.NotFound("webhook", ref)
		}
		o, err := readDocument(doc)
		if err != nil {
			return nil, err
		}
		d, _ := profile.DefaultsOf(scene.Current.Profile)
		given := o.givenSecret("secret", d.MinSecret)
		o.flag("generateSecret", true)
		overlap := o.duration("overlap", defaultOverlap, 0, maxOverlap)
		o.done()
		if given != "" && len(scene.Current.Secrets) > 0 && given == scene.Current.Secrets[len(scene.Current.Secrets)-1].Value {
			o.fault("secret", "invalid_format", "is the current secret")
		}
		if err := hook.Invalid(o.faults); err != nil {
			return nil, err
		}
		if given == "" {
			given, res.Secret = fresh, fresh
		}
		next := *scene.Current
		next.Secrets = rotated(next.Secrets, given, scene.Now, overlap, o.has("overlap"))
		if n := len(scene.Current.Secrets); n > 0 {
			end := scene.Now.Add(overlap)
			if x := scene.Current.Secrets[n-1].ExpiresAt; x != nil && (x.Before(end) || !o.has("overlap")) {
				end = *x // it was ending already
			}
			res.PreviousExpiresAt = &end
		}
		return &next, nil
	})
	if err != nil {
		return hook.RotateResult{}, err
	}
	s.pipeline.ConfigChanged(p.Workspace)
	res.Webhook = view(w, known)
	res.New = res.Webhook.Secrets[len(res.Webhook.Secrets)-1]
	return res, nil
}

// DeleteSecret removes all secrets of a webhook, so that requests are unsigned from
// now on, or with an id only that one. If it was the current one, the newest that still signs takes
// its place: else requests would be unsigned when its overlap ends, and nobody have asked for that.
func (s *Service) DeleteSecret(ctx context.Context, p hook.Principal, ref string, id hook.ID) error {
	_, err := s.store.EditWebhook(hook.WithVerb(ctx, hook.AuditDeleteSecret), p.Workspace, ref, false, func(scene hook.WebhookScene) (*hook.Webhook, error) {
		if scene.Current == nil {
			return nil, hook.NotFound("webhook", ref)
		}
		next := *scene.Current
		next.Secrets = nil
		if id != hook.NoID {
			for _, x := range scene.Current.Secrets {
				if x.ID != id {
					next.Secrets = append(next.Secrets, x)
				}
			}
		}
		n := len(next.Secrets)
		if n == len(scene.Current.Secrets) {
			return nil, hook.Errorf(hook.KindNotFound, "the webhook has no such secret")
		}
		if n > 0 && next.Secrets[n-1].Live(scene.Now) {
			next.Secrets[n-1].ExpiresAt = nil
		}
		return &next, nil
	})
	if err != nil {
		return err
	}
	s.pipeline.ConfigChanged(p.Workspace)
	return nil
}

// basicAuth reads credentials. A password left out is kept.
func (r *webhookReader) basicAuth() *hook.BasicAuth {
	o := r.objectOrNull("basicAuth")
	if o == nil {
		return nil
	}
	b := &hook.BasicAuth{Username: o.text("username", "", 0, maxUsername)}
	o.need("username")
	if strings.Contains(b.Username, ":") {
		o.fault(o.at("username"), "invalid_format", "must not contain a colon")
	}
	if o.has("password") {
		b.Password = o.sensitive("password", maxPassword)
	} else if cur := r.scene.Current; cur != nil && cur.BasicAuth != nil {
		b.Password = cur.BasicAuth.Password
	} else {
		o.need("password")
	}
	o.done()
	return b
}

// sensitive reads a write-only value: null and "" are refused, because that is what an
// unset variable looks like.
func (o *object) sensitive(name string, hi int) hook.Sensitive {
	var s string
	if o.isNull(name) || o.value(name, "a string", &s) && s == "" {
		o.fault(o.at(name), "empty_secret", "is null or empty; is the variable that should hold it unset?")
		return ""
	}
	if s != "" {
		o.checkText(o.at(name), s, 1, hi)
	}
	return hook.Sensitive(s)
}

// secretName are header names whose values are hidden unless said otherwise.
var secretName = regexp.MustCompile(`(?i)^(authorization|proxy-authorization|cookie)$|key|token|secret|password`)

// headers reads custom headers. A secret one's value left out is kept.
func (r *webhookReader) headers() []hook.Header {
	list := r.objects("headers")
	if len(list) > maxHeaders {
		r.fault("headers", "too_long", "has %d entries; at most %d are allowed", len(list), maxHeaders)
		return nil
	}
	seen := map[string]bool{}
	var out []hook.Header
	for _, o := range list {
		if o == nil {
			out = append(out, hook.Header{Name: "X"}) // told; the others keep their places
			continue
		}
		h := hook.Header{Name: o.text("name", "", 1, maxHeaderName)}
		o.need("name")
		key := strings.ToLower(h.Name)
		if h.Name != "" && !httpguts.ValidHeaderFieldName(h.Name) {
			o.fault(o.at("name"), "invalid_format", "%q is no header name", h.Name)
		}
		if h.Name != "" && seen[key] {
			o.fault(o.at("name"), "invalid_format", "%s is there twice", h.Name)
		}
		seen[key] = true
		h.Secret = o.flag("secret", secretName.MatchString(h.Name))
		switch {
		case o.has("value"):
			h.Value = o.headerValue(h.Secret)
		case h.Secret && r.keptHeader(key) != "":
			h.Value = r.keptHeader(key)
		default:
			o.need("value")
		}
		o.done()
		out = append(out, h)
	}
	return out
}

func (o *object) headerValue(secret bool) hook.Sensitive {
	var v hook.Sensitive
	if secret {
		v = o.sensitive("value", maxHeaderValue)
	} else {
		v = hook.Sensitive(o.text("value", "", 1, maxHeaderValue))
	}
	if strings.TrimSpace(string(v)) != string(v) || strings.ContainsAny(string(v), "\r\n") {
		o.fault(o.at("value"), "invalid_format", "must not begin or end with white space, nor have line breaks")
	}
	return v
}

// keptHeader is the value of a secret header as it is now.
func (r *webhookReader) keptHeader(lower string) hook.Sensitive {
	if r.scene.Current != nil {
		for _, h := range r.scene.Current.Headers {
			if h.Secret && strings.ToLower(h.Name) == lower {
				return h.Value
			}
		}
	}
	return ""
}
