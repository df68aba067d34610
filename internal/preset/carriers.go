package preset

import "net/http"

// Carriers are the places of a request that hold a secret itself, not a signature made
// with it. Whoever records requests must leave their values out.
type Carriers struct {
	Headers    []string // canonical
	Query      []string
	BodyFields []string
}

// Carriers lists where this verifier's requests carry secrets.
func (v *Verifier) Carriers() Carriers {
	var c Carriers
	add := func(header, query, field string) {
		switch {
		case header != "":
			c.Headers = append(c.Headers, http.CanonicalHeaderKey(header))
		case query != "":
			c.Query = append(c.Query, query)
		case field != "":
			c.BodyFields = append(c.BodyFields, field)
		}
	}
	if v == nil {
		return c
	}
	for _, check := range v.checks {
		if check.Algorithm == Token {
			add(check.Header, check.Query, check.BodyField)
		}
	}
	for _, h := range v.handshakes {
		for _, w := range h.When {
			if w.Secret {
				add(w.Header, w.Query, w.Body)
			}
		}
	}
	return c
}
