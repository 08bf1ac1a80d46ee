package contract

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

func TestDeprecatedOperationsGiveNotice(t *testing.T) {
	t.Parallel()
	const head = "openapi: 3.0.3\ninfo: {title: mini, version: '1'}\nservers: [{url: /base}]\n" +
		"paths:\n  /old:\n    get:\n      x-permission: ''\n      responses: {'200': {description: ok}}\n" +
		"      parameters: [{name: n, in: query, schema: {type: integer}}]\n"
	for _, c := range []struct {
		name, spec, deprecation, sunset, fault string
	}{
		{name: "in use"},
		{
			name: "deprecated", spec: "      deprecated: true\n      x-deprecated-since: '2026-10-31'\n",
			deprecation: "@1793404800",
		},
		{
			name:        "with its last day",
			spec:        "      deprecated: true\n      x-deprecated-since: '2026-10-31'\n      x-sunset: '2027-10-31'\n",
			deprecation: "@1793404800", sunset: "Sun, 31 Oct 2027 00:00:00 GMT",
		},
		{name: "since when?", spec: "      deprecated: true\n", fault: "do not go together"},
		{name: "a last day alone", spec: "      x-sunset: '2027-10-31'\n", fault: "do not go together"},
		{name: "a day alone", spec: "      x-deprecated-since: '2027-10-31'\n", fault: "do not go together"},
		{
			name:  "over before",
			spec:  "      deprecated: true\n      x-deprecated-since: '2026-10-31'\n      x-sunset: '2026-10-31'\n",
			fault: "not after",
		},
		{name: "no day", spec: "      deprecated: true\n      x-deprecated-since: soon\n", fault: "is no day"},
	} {
		spec, err := openapi3.NewLoader().LoadFromData([]byte(head + c.spec))
		require.NoError(t, err, c.name)
		fails := func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadRequest) }
		for _, mount := range []func(*Router){
			func(to *Router) { to.HandleFunc("GET /base/old", func(http.ResponseWriter, *http.Request) {}) },
			func(to *Router) { to.Forward(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) },
		} {
			router, err := NewRouter(spec, nil, fails)
			require.NoError(t, err, c.name)
			mount(router)
			if c.fault != "" {
				require.ErrorContains(t, router.Complete(), c.fault, c.name)
				continue
			}
			require.NoError(t, router.Complete(), c.name)
			for _, path := range []string{"/base/old", "/base/old?n=x"} { // errors too
				rec := httptest.NewRecorder()
				router.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
				require.Equal(t, c.deprecation, rec.Header().Get("Deprecation"), c.name)
				require.Equal(t, c.sunset, rec.Header().Get("Sunset"), c.name)
			}
		}
	}
}
