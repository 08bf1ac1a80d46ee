package resttest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/stretchr/testify/assert"

	"phonebill/openapi"
)

// Internal returns the handler of an internal listener that also checks each of its responses against
// openapi/internal.yaml. A 404 for a path that the handler does not serve has no JSON body and is let pass.
func Internal(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	spec := load(t, openapi.Internal)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		route, params := find(spec, r)
		served := rec.Code != http.StatusNotFound || rec.Header().Get("Content-Type") == "application/json"
		if served && assert.NotNilf(t, route, "%s %s is not in the specification", r.Method, r.URL.Path) {
			assert.NoErrorf(t, openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
				RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
				Status:                 rec.Code, Header: rec.Header(), Body: io.NopCloser(bytes.NewReader(body)),
				Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
			}), "%s %s: %d %s", r.Method, r.URL.Path, rec.Code, body)
		}
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body)
	})
}
