package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// get asks a handler without a server.
func get(t *testing.T, h http.Handler, path string) int {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code
}
