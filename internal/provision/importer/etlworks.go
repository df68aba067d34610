package importer

import "sallyport/internal/provision"

// Etlworks imports webhooks as GET and POST /rest/v1/webhooks of Etlworks Integrator have them.
func Etlworks(text []byte, set string) (*Result, error) {
	hooks, err := list(text, "webhooks of Etlworks")
	if err != nil {
		return nil, err
	}
	m := newMaker("Etlworks", set)
	for _, h := range hooks {
		if fieldsOf(h).text("id", "name") == "" {
			return nil, without("webhooks of Etlworks", "id and no name")
		}
		m.etlworks(fieldsOf(h))
	}
	return m.result()
}

// shortest secret that the profile takes.
const shortestEtlworks = 8

func (m *maker) etlworks(f *fields) {
	id, name := f.text("id"), f.text("name")
	code := m.code(name, "webhook-"+id)
	about := "webhooks/" + code
	url := f.text("url")
	if url == "" {
		m.warn(about, "has no URL and sends mail only; subscribe an incoming webhook's sendEmail action, or another webhook, to its events")
		return
	}
	o := m.named(provision.Fields{}.With("code", code), about, name)
	if d := f.text("description"); d != "" {
		o = o.With("description", d)
	}
	o = o.With("url", url).With("profile", "etlworks")
	if method := f.text("method"); method != "" && method != "POST" {
		o = o.With("method", method)
	}
	if t := f.text("contentType"); t != "" && t != "application/json" {
		o = o.With("contentType", t)
	}
	if events := f.texts("events"); len(events) > 0 {
		o = o.With("eventTypes", events)
	} else {
		m.warn(about, "names no events, so that it gets all")
	}
	o = o.With("includeEntity", f.flag("includeEntity", false))
	if !f.flag("enabled", true) {
		o = o.With("enabled", false)
	}
	var headers []provision.Fields
	for _, h := range f.objects("headers") {
		x := fieldsOf(h)
		headers = append(headers, m.header(code, about, x.text("key", "name"), x.text("value")))
	}
	if len(headers) > 0 {
		o = o.With("headers", headers)
	}
	if secret := f.text("secret"); secret != "" {
		if len(secret) < shortestEtlworks {
			m.warn(about, "the secret has %d characters; at least %d are needed, so give both sides a longer one", len(secret), shortestEtlworks)
		}
		o = o.With("secret", m.secret(code+"_secret", about+" secret", secret))
	}
	if user, password := f.text("basicUser"), f.text("basicPass"); user != "" {
		basic := provision.Fields{}.With("username", user)
		if password != "" {
			basic = basic.With("password", m.secret(code+"_password", about+" basicAuth.password", password))
		}
		o = o.With("basicAuth", basic)
	}
	// Tried once there, as far as anybody knows; here failures are retried, as they should be.
	f.ignore("createdOn", "modifiedOn", "createdBy", "modifiedBy")
	m.warn("", "X-Etl-Webhook-Id and webhookId are the number that the webhook has here, not the one it had")
	f.rest(m, about)
	m.add("webhooks", o)
}
