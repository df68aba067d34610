package api_test

import (
	"strings"
	"testing"
)

// A form is told by an example, since few read patterns.
func TestFormsAreToldByAnExample(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/v1/webhooks?metadata=billing", "", ", such as managed-by:billing-ci"},
		{"POST", "/v1/webhooks/erp-orders/test", `{"eventType":"order paid"}`, ", such as order.paid"},
	} {
		if a := s.do(t, "operator", c.method, c.path, c.body); !strings.Contains(a.body, c.want) {
			t.Errorf("%s says %s without %q", c.path, a.body, c.want)
		}
	}
}
