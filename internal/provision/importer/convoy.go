package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sallyport/internal/provision"
)

// Convoy imports endpoints as GET …/endpoints of Convoy lists them, and if given the subscriptions of GET
// …/subscriptions: each becomes a webhook of its own, since each gets an event of its own there, too.
func Convoy(endpoints, subscriptions []byte, set string) (*Result, error) {
	listed, err := list(endpoints, "endpoints of Convoy")
	if err != nil {
		return nil, err
	}
	m := newMaker("Convoy", set)
	var subs []map[string]any
	if subscriptions != nil {
		if subs, err = list(subscriptions, "subscriptions of Convoy"); err != nil {
			return nil, err
		}
	} else {
		m.warn("", "without subscriptions (a second file) every endpoint gets all events")
	}
	used := map[int]bool{}
	for _, e := range listed {
		uid := fieldsOf(e).text("uid")
		if fieldsOf(e).text("url", "target_url") == "" {
			return nil, without("endpoints of Convoy", "url")
		}
		var own []map[string]any
		for n, s := range subs {
			x := fieldsOf(s)
			endpoint := x.text("endpoint_id")
			if inner := x.object("endpoint_metadata"); endpoint == "" && inner != nil {
				endpoint = inner.text("uid")
			}
			if endpoint == uid {
				own, used[n] = append(own, s), true
			}
		}
		m.convoyEndpoint(fieldsOf(e), own, subscriptions != nil)
	}
	for n, s := range subs {
		if x := fieldsOf(s); !used[n] {
			m.warn("subscription "+x.text("name", "uid"), "belongs to no endpoint of the list and is left out")
		}
	}
	m.warn("", "bodies are what you publish, as with Convoy, and X-Convoy-Signature is its simple form, SHA-256 in hex, of the profile github, which sends X-GitHub-Event and X-GitHub-Delivery along; if the project's signature is another, change signature")
	return m.result()
}

// convoyEndpoint makes a webhook of each subscription.
func (m *maker) convoyEndpoint(f *fields, subs []map[string]any, asked bool) {
	name := cmp.Or(f.text("name", "title"), f.text("uid"))
	if len(subs) == 0 {
		code := m.code(name, "endpoint")
		if asked {
			m.warn("webhooks/"+code, "has no subscription, gets nothing there, and is disabled here")
		}
		m.add("webhooks", m.convoy(f, fieldsOf(nil), code, name, asked))
		return
	}
	for _, s := range subs {
		x := fieldsOf(s)
		called := name
		if len(subs) > 1 {
			called = name + " " + cmp.Or(x.text("name"), x.text("uid"))
		}
		m.add("webhooks", m.convoy(fieldsOf(f.all), x, m.code(called, "endpoint"), called, false))
	}
}

func (m *maker) convoy(f, sub *fields, code, name string, off bool) provision.Fields {
	about := "webhooks/" + code
	o := m.named(provision.Fields{}.With("code", code), about, name)
	f.ignore("name", "title")
	if d := f.text("description"); d != "" {
		o = o.With("description", d)
	}
	o = o.With("url", f.text("url", "target_url")).With("profile", "github")
	o = o.With("signature", provision.Fields{}.With("algorithm", "hmac-sha256").With("header", "X-Convoy-Signature").With("encoding", "hex"))
	if f.flag("advanced_signatures", false) {
		m.warn(about, "has advanced signatures (t=…,v1=…), which have no exact equivalent: the receiver must verify the simple form, or webhook-signature after profile: default")
	}
	if kind := f.text("content_type"); kind != "" && kind != "application/json" {
		o = o.With("contentType", kind)
	}
	filter, filterOK := "", true
	if config := sub.object("filter_config"); config != nil {
		if types := config.texts("event_types"); len(types) > 0 {
			o = o.With("eventTypes", types)
		}
		filter, filterOK = m.convoyFilter(config.object("filter"), about)
		config.rest(m, about)
	}
	if filter != "" {
		o = o.With("filter", filter)
	}
	status := strings.ToLower(f.text("status"))
	if off || !filterOK || f.flag("is_disabled", false) || status == "inactive" || status == "paused" {
		o = o.With("enabled", false)
	}
	o = m.convoyCredentials(f, o, code, about)
	if t, ok := duration(f.value("http_timeout")); ok && t > 0 {
		o = o.With("timeout", written(min(max(t, time.Second), time.Minute)))
		if t > time.Minute {
			m.warn(about, "waits %s for an answer; 60s is the most", t)
		}
	}
	o = m.convoyPolicy(f, sub, o, about)
	metadata := provision.Fields{}
	for _, n := range []string{"uid", "owner_id"} {
		if v := f.text(n); v != "" {
			metadata = metadata.With("convoy-"+strings.ReplaceAll(n, "_", "-"), v)
		}
	}
	o = o.With("metadata", metadata)
	for _, n := range []string{"support_email", "slack_webhook_url"} {
		if f.text(n) != "" {
			m.warn(about, "%s is left out: subscribe a webhook or a mail to Webhook.Suspended instead", n)
		}
	}
	f.ignore("project_id", "group_id", "events", "failure_rate", "created_at", "updated_at", "deleted_at")
	f.rest(m, about)
	sub.ignore("uid", "name", "type", "status", "project_id", "group_id", "endpoint_id", "endpoint_metadata", "created_at", "updated_at", "deleted_at", "source_id", "alert_config")
	if source := sub.object("source_metadata"); source != nil && source.text("uid") != "" {
		m.warn(about, "its subscription is to the source %s; an incoming webhook and its routes take the place of sources", cmp.Or(source.text("name"), source.text("uid")))
	}
	if sub.text("function") != "" {
		m.warn(about, "its subscription transforms events by a JavaScript function, which has no equivalent on webhooks; publish what receivers are to get, or send by an httpRequest action")
	}
	sub.rest(m, about)
	return o
}

// convoyCredentials adds the secret and what the endpoint wants to see.
func (m *maker) convoyCredentials(f *fields, o provision.Fields, code, about string) provision.Fields {
	var live []string
	for _, s := range f.objects("secrets") {
		x := fieldsOf(s)
		if x.text("value") != "" && x.text("expires_at") == "" && x.text("deleted_at") == "" {
			live = append(live, x.text("value"))
		}
	}
	if single := f.text("secret"); single != "" {
		live = append(live, single)
	}
	if len(live) > 0 {
		if last := live[len(live)-1]; len(last) < 24 {
			m.warn(about, "its secret has %d characters; at least 24 are needed, so give both sides a longer one", len(last))
		}
		o = o.With("secret", m.secret(code+"_secret", about+" secret", live[len(live)-1]))
	} else {
		m.warn(about, "has no secret in the list: requests are not signed until you add one")
	}
	auth := f.object("authentication")
	if auth == nil {
		return o
	}
	switch kind := auth.text("type"); kind {
	case "":
	case "api_key":
		if k := auth.object("api_key"); k != nil && k.text("header_name") != "" {
			name := k.text("header_name")
			value := m.secret(code+"_"+name, about+" header "+name, k.text("header_value"))
			o = o.With("headers", []provision.Fields{provision.Fields{}.With("name", name).With("value", value).With("secret", true)})
		}
	case "basic_auth":
		if k := auth.object("basic_auth"); k != nil && k.text("username") != "" {
			o = o.With("basicAuth", provision.Fields{}.With("username", k.text("username")).
				With("password", m.secret(code+"_password", about+" basicAuth.password", k.text("password"))))
		}
	default:
		m.warn(about, "authentication by %s has no equivalent", kind)
	}
	return o
}

// convoyPolicy adds limits and retries.
func (m *maker) convoyPolicy(f, sub *fields, o provision.Fields, about string) provision.Fields {
	limit, window := 0.0, time.Duration(0)
	if n, ok := f.number("rate_limit"); ok && n > 0 {
		limit = n
		window, _ = duration(f.value("rate_limit_duration"))
	}
	f.ignore("rate_limit_duration")
	if c := sub.object("rate_limit_config"); c != nil {
		if n, ok := c.number("count"); ok && n > 0 && limit == 0 {
			limit = n
			window, _ = duration(c.value("duration"))
		}
	}
	if limit > 0 {
		o = o.With("rateLimit", provision.Fields{}.With("requests", int(limit)).With("per", written(max(window, time.Second))))
	}
	c := sub.object("retry_config")
	if c == nil {
		return o
	}
	n, _ := c.number("retry_count")
	wait, ok := duration(cmp.Or(c.value("duration"), c.value("interval_seconds")))
	if !ok || wait <= 0 || n <= 0 {
		return o
	}
	if n > 49 {
		m.warn(about, "is retried %d times; 49 is the most", int(n))
	}
	o = o.With("maxAttempts", min(int(n)+1, 50))
	if c.text("type") == "exponential" {
		return o.With("retry", provision.Fields{}.With("exponential", provision.Fields{}.With("initial", written(wait)).With("max", "2h")))
	}
	return o.With("retry", provision.Fields{}.With("linear", provision.Fields{}.With("interval", written(wait))))
}

// duration reads a number of seconds, or a duration of Go in a text.
func duration(v any) (time.Duration, bool) {
	switch v := v.(type) {
	case int:
		return time.Duration(v) * time.Second, true
	case float64:
		return time.Duration(v * float64(time.Second)), true
	case string:
		d, err := time.ParseDuration(v)
		return d, err == nil
	}
	return 0, false
}

func written(d time.Duration) string { return seconds(d.Seconds()) }

// convoyFilter makes a condition of a filter. Where it cannot, it says so, and the webhook must not
// be enabled: it would get what it is not to get.
func (m *maker) convoyFilter(f *fields, about string) (string, bool) {
	if f == nil {
		return "", true
	}
	fine := true
	for _, part := range []string{"headers", "header", "query", "path"} {
		if v := f.value(part); !empty(v) {
			m.warn(about, "its filter by %s has no equivalent, and it is disabled: write a filter by what is in the event", part)
			fine = false
		}
	}
	f.ignore("is_flattened", "body")
	body, _ := f.all["body"].(map[string]any)
	condition, err := convoyCondition(body, "event.entity")
	if err != nil {
		m.warn(about, "its filter cannot be written as a condition (%s), and it is disabled", err)
		return "", false
	}
	return condition, fine
}

// operators of Convoy's filters that compare.
var convoyOperators = map[string]string{"$eq": "==", "$neq": "!=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<=", "$in": "in", "$nin": "not in"}

func convoyCondition(filter map[string]any, path string) (string, error) {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(filter)) {
		v := filter[name]
		if operator, ok := convoyOperators[name]; ok {
			text, err := literal(v)
			if err != nil {
				return "", err
			}
			all = append(all, fmt.Sprintf("%s|default(null) %s %s", path, operator, text))
			continue
		}
		switch {
		case name == "$exist":
			if v == true {
				all = append(all, path+" is defined")
			} else {
				all = append(all, path+" is not defined")
			}
		case name == "$or" || name == "$and":
			branches, _ := v.([]any)
			var texts []string
			for _, b := range branches {
				object, ok := b.(map[string]any)
				if !ok {
					return "", fmt.Errorf("%s takes a list of objects", name)
				}
				text, err := convoyCondition(object, path)
				if err != nil {
					return "", err
				}
				texts = append(texts, "("+text+")")
			}
			all = append(all, "("+strings.Join(texts, " "+name[1:]+" ")+")")
		case strings.HasPrefix(name, "$"):
			return "", fmt.Errorf("there is no %s", name)
		default:
			inner := path
			for part := range strings.SplitSeq(name, ".") {
				inner += subscript(part)
			}
			if object, ok := v.(map[string]any); ok {
				text, err := convoyCondition(object, inner)
				if err != nil {
					return "", err
				}
				all = append(all, text)
				continue
			}
			text, err := literal(v)
			if err != nil {
				return "", err
			}
			all = append(all, inner+"|default(null) == "+text)
		}
	}
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), " and "), nil
}
