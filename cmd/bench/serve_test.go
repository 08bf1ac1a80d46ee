package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serveTest serves {} after wait and returns the address.
func serveTest(t *testing.T, wait func()) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		wait()
		write(w, []byte("{}"))
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}
