// Package resttest checks responses against the OpenAPI files, for tests of handlers, the gateway and whole journeys.
package resttest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/contract"
	"phonebill/openapi"
)

// Auth is openapi/auth.yaml; do not change it.
func Auth(t testing.TB) *openapi3.T { t.Helper(); return load(t, openapi.Auth) }

// Bill is openapi/bill.yaml; do not change it.
func Bill(t testing.TB) *openapi3.T { t.Helper(); return load(t, openapi.Bill) }

// Product is openapi/product.yaml; do not change it.
func Product(t testing.TB) *openapi3.T { t.Helper(); return load(t, openapi.Product) }

// Operations is openapi/operations.yaml; do not change it.
func Operations(t testing.TB) *openapi3.T { t.Helper(); return load(t, openapi.Operations) }

// Of is the public specification that knows the request's operation, nil when none does; do not change it.
func Of(t testing.TB, req *http.Request) *openapi3.T {
	t.Helper()
	for _, name := range []string{openapi.Auth, openapi.Bill, openapi.Product, openapi.Operations} {
		spec := load(t, name)
		if route, _ := find(spec, req); route != nil {
			return spec
		}
	}
	return nil
}

func load(t testing.TB, name string) *openapi3.T {
	t.Helper()
	spec, err := contract.Load(name)
	require.NoError(t, err)
	return spec
}

const problemJSON = "application/problem+json"

// Validate fails the test unless res is an answer that spec allows to req: a documented status, the documented
// headers, a body that fits its schema. An answer to a path or method that spec does not know must be an error of the
// one shape. The body of res can be read again afterwards.
func Validate(t testing.TB, spec *openapi3.T, req *http.Request, res *http.Response) {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	res.Body = io.NopCloser(bytes.NewReader(body))
	if res.StatusCode >= http.StatusBadRequest {
		validateError(t, res, body)
	}
	route, params := find(spec, req)
	if route == nil {
		require.GreaterOrEqualf(
			t, res.StatusCode, http.StatusBadRequest, "%s %s is not in the specification", req.Method, req.URL.Path,
		)
		return
	}
	if res.StatusCode == http.StatusMethodNotAllowed {
		return // GET on a fixed path that a templated one would match
	}
	if res.Header.Get("Content-Type") == problemJSON {
		require.NotNilf(
			t, route.Operation.Responses.Status(res.StatusCode), "%s %s answered %d", req.Method, req.URL.Path, res.StatusCode,
		)
		return // its body is described once, in common.yaml: validateError
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	require.NoErrorf(t, openapi3filter.ValidateResponse(context.Background(), input), "%s %s answered %d %s",
		req.Method, req.URL.Path, res.StatusCode, body)
	if res.StatusCode < http.StatusBadRequest {
		validateExamples(t, route.Operation, res, body)
	}
}

// validateExamples holds a success against the examples of its operation, since front ends are written after them:
// its message is that of an example, and an example has every field that it has.
func validateExamples(t testing.TB, op *openapi3.Operation, res *http.Response, body []byte) {
	t.Helper()
	documented := op.Responses.Status(res.StatusCode)
	if documented == nil || documented.Value.Content["application/json"] == nil {
		return
	}
	var answer map[string]any
	require.NoError(t, json.Unmarshal(body, &answer))
	var messages []any
	shown := map[string]bool{}
	for _, example := range documented.Value.Content["application/json"].Examples {
		if value, ok := example.Value.Value.(map[string]any); ok {
			fieldsOf(value, "", shown)
			if value["message"] != nil {
				messages = append(messages, value["message"])
			}
		}
	}
	if len(messages) == 0 {
		return
	}
	require.Containsf(t, messages, answer["message"], "%s %d", op.OperationID, res.StatusCode)
	answered := map[string]bool{}
	fieldsOf(answer, "", answered)
	maps.DeleteFunc(answered, func(field string, _ bool) bool { return shown[field] })
	require.Emptyf(t, answered, "%s %d: no example has these fields", op.OperationID, res.StatusCode)
}

// fieldsOf collects the paths of all fields, like .data.items.status, whatever the index in a list.
func fieldsOf(value any, path string, into map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		for key, field := range v {
			into[path+"."+key] = true
			if key != "facts" { // whose keys are data
				fieldsOf(field, path+"."+key, into)
			}
		}
	case []any:
		for _, item := range v {
			fieldsOf(item, path, into)
		}
	}
}

// find is the operation of the request, nil when there is none. A fixed path goes before a templated one.
func find(spec *openapi3.T, req *http.Request) (*routers.Route, map[string]string) {
	var best *routers.Route
	var bestParams map[string]string
	path := strings.Split(strings.TrimPrefix(req.URL.Path, strings.TrimSuffix(spec.Servers[0].URL, "/")), "/")
	for template, item := range spec.Paths.Map() {
		params, ok := match(strings.Split(template, "/"), path)
		if !ok || best != nil && len(params) >= len(bestParams) {
			continue
		}
		if op := item.GetOperation(req.Method); op != nil {
			best = &routers.Route{Spec: spec, Path: template, PathItem: item, Method: req.Method, Operation: op}
			bestParams = params
		}
	}
	return best, bestParams
}

func match(template, path []string) (map[string]string, bool) {
	params := map[string]string{}
	if len(template) != len(path) {
		return nil, false
	}
	for i, segment := range template {
		if strings.HasPrefix(segment, "{") {
			params[strings.Trim(segment, "{}")] = path[i]
		} else if segment != path[i] {
			return nil, false
		}
	}
	return params, true
}

func validateError(t testing.TB, res *http.Response, body []byte) {
	t.Helper()
	schema := "ErrorEnvelope"
	if res.Header.Get("Content-Type") == problemJSON {
		schema = "Problem"
	} else {
		require.Equalf(t, "application/json", res.Header.Get("Content-Type"), "error body %s", body)
	}
	var value any
	require.NoErrorf(t, json.Unmarshal(body, &value), "error body %s", body)
	require.NoErrorf(
		t, load(t, openapi.Common).Components.Schemas[schema].Value.VisitJSON(value, openapi3.MultiErrors()), "error body %s",
		body,
	)
	switch res.StatusCode {
	case http.StatusUnauthorized:
		require.NotEmpty(t, res.Header.Get("WWW-Authenticate"))
	case http.StatusMethodNotAllowed:
		require.NotEmpty(t, res.Header.Get("Allow"))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		require.NotEmpty(t, res.Header.Get("Retry-After"))
	}
}
