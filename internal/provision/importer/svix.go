package importer

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/provision"
)

// Svix imports endpoints as GET /api/v1/app/{app}/endpoint/ of Svix lists them.
func Svix(text []byte, set string) (*Result, error) {
	endpoints, err := list(text, "endpoints of Svix")
	if err != nil {
		return nil, err
	}
	m := newMaker("Svix", set)
	for _, e := range endpoints {
		if fieldsOf(e).text("url") == "" {
			return nil, without("endpoints of Svix", "url")
		}
		m.svix(fieldsOf(e))
	}
	m.warn("", "bodies are {type, timestamp, data} of Standard Webhooks, with what you publish in data; Svix sends what you publish as it is")
	m.warn("", "headers are webhook-id, webhook-timestamp and webhook-signature, which the libraries of Svix verify, too; receivers that read svix-* themselves must change")
	m.warn("", "headers of endpoints are in a list of their own (GET …/endpoint/{id}/headers/) and are to be added by hand")
	return m.result()
}

func (m *maker) svix(f *fields) {
	id, uid, description := f.text("id"), f.text("uid"), f.text("description")
	label := cmp.Or(uid, description)
	if len(label) > 60 {
		label = ""
	}
	code := m.code(cmp.Or(label, id), "endpoint")
	about := "webhooks/" + code
	o := provision.Fields{}.With("code", code)
	if description != "" {
		o = o.With("description", description)
	}
	o = o.With("url", f.text("url")).With("profile", "standard-webhooks")
	if types := append(f.texts("filterTypes"), f.texts("eventTypes")...); len(types) > 0 {
		o = o.With("eventTypes", types)
	}
	channels := f.texts("channels")
	if len(channels) > 0 {
		m.warn(about, "listens to the channels %s, which have no equivalent; since it would get more without them, it is disabled: publish with the channel in the entity, give it a filter, enable it", strings.Join(channels, ", "))
	}
	if f.flag("disabled", false) || len(channels) > 0 {
		o = o.With("enabled", false)
	}
	if n, ok := f.number("rateLimit"); ok && n > 0 {
		o = o.With("rateLimit", provision.Fields{}.With("requests", int(n)).With("per", "1s"))
	}
	value := f.text("secret", "key")
	whatFor := about + " secret"
	if value == "" {
		whatFor += ", from GET …/endpoint/" + id + "/secret/"
	}
	o = o.With("secret", m.secret(code+"_secret", whatFor, value))
	metadata := provision.Fields{}
	if id != "" {
		metadata = metadata.With("svix-id", id)
	}
	labels, _ := f.value("metadata").(map[string]any)
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		v, ok := labels[k].(string)
		if !ok || k == "" || len(k) > 64 || strings.Contains(k, ":") || len(v) > 500 || k == provision.ManagedBy {
			m.warn(about, "metadata %q cannot be kept: names have up to 64 characters without colon, values up to 500", k)
			continue
		}
		metadata = metadata.With(k, v)
	}
	o = o.With("metadata", metadata)
	f.ignore("version", "createdAt", "updatedAt")
	f.rest(m, about)
	m.add("webhooks", o)
}
