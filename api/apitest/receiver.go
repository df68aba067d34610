package apitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"sallyport/api/spec"
)

// Receiver validates what a webhook of the default profile with JSON gets, before next
// answers it.
func (v *Validator) Receiver(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			v.reporter.Errorf("contract: reading what a receiver got: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		for _, f := range CheckNotification(r, body) {
			v.reporter.Helper()
			v.reporter.Errorf("contract: a receiver got %s %s: %s\n%s", r.Method, r.URL.Path, f, abridged(body))
		}
		next.ServeHTTP(w, r)
	})
}

// CheckNotification lists how a request breaks the webhooks section of the contract.
func CheckNotification(r *http.Request, body []byte) (faults []string) {
	op := spec.Document().Webhooks["event"].Post
	for _, ref := range op.Parameters {
		p := ref.Value
		values := r.Header.Values(p.Name)
		if len(values) == 0 {
			if p.Required {
				faults = append(faults, "there is no "+p.Name)
			}
			continue
		}
		for _, text := range values {
			var value any = text
			if p.Schema.Value.Type.Is("integer") {
				n, err := strconv.ParseInt(text, 10, 64)
				if err != nil {
					faults = append(faults, fmt.Sprintf("%s is %q, not a number", p.Name, text))
					continue
				}
				value = float64(n)
			}
			if err := p.Schema.Value.VisitJSON(value); err != nil {
				faults = append(faults, fmt.Sprintf("%s: %v", p.Name, err))
			}
		}
	}
	if r.Method == http.MethodGet || r.Method == http.MethodDelete {
		if len(body) > 0 {
			faults = append(faults, "there is a body")
		}
		return faults
	}
	return append(faults, checkJSON(op.RequestBody.Value.Content["application/json"].Schema.Value, body)...)
}
