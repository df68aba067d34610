package api

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestAddressOf(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for why, c := range map[string]struct {
		peer, header, value string
		want, by            string
	}{
		"nobody in between":                         {"203.0.113.9:1", "", "", "203.0.113.9", ""},
		"a header of somebody not trusted":          {"203.0.113.9:1", "X-Forwarded-For", "198.51.100.1", "203.0.113.9", ""},
		"one proxy":                                 {"10.0.0.2:1", "X-Forwarded-For", "203.0.113.9", "203.0.113.9", "X-Forwarded-For"},
		"two proxies":                               {"10.0.0.2:1", "X-Forwarded-For", "203.0.113.9, 10.0.0.3", "203.0.113.9", "X-Forwarded-For"},
		"what the client made up is not reached":    {"10.0.0.2:1", "X-Forwarded-For", "127.0.0.1, 203.0.113.9, 10.0.0.3", "203.0.113.9", "X-Forwarded-For"},
		"all trusted: the farthest":                 {"10.0.0.2:1", "X-Forwarded-For", "10.0.0.4, 10.0.0.3", "10.0.0.4", "X-Forwarded-For"},
		"something unreadable ends the walk":        {"10.0.0.2:1", "X-Forwarded-For", "203.0.113.9, unknown, 10.0.0.3", "10.0.0.3", "X-Forwarded-For"},
		"with a port":                               {"10.0.0.2:1", "X-Forwarded-For", "203.0.113.9:4711", "203.0.113.9", "X-Forwarded-For"},
		"Forwarded":                                 {"10.0.0.2:1", "Forwarded", `for=203.0.113.9;proto=https, for="[2001:db8::1]:4711"`, "203.0.113.9", "Forwarded"},
		"Forwarded that hides":                      {"10.0.0.2:1", "Forwarded", `for=203.0.113.9, for=_hidden`, "10.0.0.2", "Forwarded"},
		"IPv6 that is IPv4":                         {"[::ffff:10.0.0.2]:1", "X-Forwarded-For", "::ffff:203.0.113.9", "203.0.113.9", "X-Forwarded-For"},
		"a proxy that says nothing of where it got": {"10.0.0.2:1", "", "", "10.0.0.2", ""},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			if c.header != "" {
				r.Header.Set(c.header, c.value)
			}
			if got := addressOf(r, trusted); got.client.String() != c.want || got.by != c.by {
				t.Errorf("got %s by %q, want %s by %q", got.client, got.by, c.want, c.by)
			}
		})
	}
}
