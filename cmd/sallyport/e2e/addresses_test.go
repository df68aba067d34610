package e2e

import (
	"net/http"
	"testing"

	"sallyport/internal/testkit"
)

// testProxy: shown URLs are those of the setting, callers' addresses those that a trusted proxy
// vouches for.
func testProxy(t *testing.T, s *server) {
	address := testkit.FreeAddr(t)
	s.launch("SALLYPORT_ADDR="+address, "SALLYPORT_BASE_URL=https://hooks.example.com/sallyport/", "SALLYPORT_TRUSTED_PROXIES=127.0.0.0/8,10.0.0.0/8")
	if s.url != "https://hooks.example.com/sallyport" {
		t.Errorf("it says that it listens at %s", s.url)
	}
	s.url = "http://" + address
	s.awaitReady()
	c := &caller{t: t, s: s, key: s.adminKey}
	c.get("/v1/info", "Host", "evil.example").want(http.StatusOK).has("baseUrl", "https://hooks.example.com/sallyport", "yourAddress", "127.0.0.1", "peerAddress", "127.0.0.1", "forwardedBy", "")
	for _, x := range []struct{ name, value, address string }{
		{"X-Forwarded-For", "203.0.113.9", "203.0.113.9"},
		{"X-Forwarded-For", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"},
		{"Forwarded", `for="[2001:db8::7]:4711";proto=https, for=10.0.0.2`, "2001:db8::7"},
	} {
		c.get("/v1/info", x.name, x.value).want(http.StatusOK).has("yourAddress", x.address, "peerAddress", "127.0.0.1", "forwardedBy", x.name)
	}
	c.post("/v1/event-types", doc{"name": "a.b"}).want(http.StatusCreated).heads("Location", "/sallyport/v1/event-types/a.b")
	c.post("/v1/events", doc{"id": "e1", "type": "a.b"}).want(http.StatusAccepted).heads("Location", "/sallyport/v1/events/e1")
	c.get("/v1/webhooks/none").problem(http.StatusNotFound, "not_found").has("type", "https://hooks.example.com/sallyport/docs/problems#not_found")
	c.get("/").want(http.StatusOK).has("docs", "/sallyport/docs", "openapi", "/sallyport/openapi.yaml")
	s.stop()
}

// testAdminAddress: with an address of its own for the API, the public one serves no more than
// doors and that it is alive.
func testAdminAddress(t *testing.T, s *server) {
	public := testkit.FreeAddr(t)
	s.launch("SALLYPORT_ADDR="+public, "SALLYPORT_ADMIN_ADDR=127.0.0.1:0")
	s.awaitReady()
	c := &caller{t: t, s: s, key: s.adminKey}
	c.get("/v1/info").want(http.StatusOK)
	if status := plain(t, "http://"+public+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz answered %d", status)
	}
	c.post("/v1/incoming-webhooks", doc{"code": "open"}).want(http.StatusCreated)
	if status := plain(t, "http://"+public+"/in/open"); status != http.StatusMethodNotAllowed { // it takes POST
		t.Errorf("the door answered %d on the public address", status)
	}
	for _, path := range []string{"/", "/v1/info", "/v1/events", "/metrics", "/docs", "/openapi.yaml", "/readyz"} {
		if status := plain(t, "http://"+public+path); status != http.StatusNotFound {
			t.Errorf("%s answered %d on the public address", path, status)
		}
	}
	s.stop()
}

// plain is the status of a GET without a key, not held against the contract: the public
// address serves less than that.
func plain(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	return res.StatusCode
}
