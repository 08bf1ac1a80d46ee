package contract

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"phonebill/core/fault"
)

// operation holds what requests are checked for: the specification of one method of one path.
type operation struct {
	bearer       bool
	permission   string
	duties       []string
	alsoAtRoot   bool
	conditional  bool // x-conditional: a client may ask whether its copy of the answer is still good
	forwarded    bool // the service behind the gateway checks the request
	lifetime     lifetime
	params       []*openapi3.Parameter
	body         *openapi3.Schema
	bodyRequired bool
}

func newOperation(spec *openapi3.T, item *openapi3.PathItem, op *openapi3.Operation) (*operation, error) {
	out := &operation{}
	security := spec.Security
	if op.Security != nil {
		security = *op.Security
	}
	for _, requirement := range security {
		for scheme := range requirement {
			ref := spec.Components.SecuritySchemes[scheme]
			if ref == nil || ref.Value.Type != "http" || ref.Value.Scheme != "bearer" {
				return nil, fmt.Errorf("security scheme %q is not bearer", scheme)
			}
			out.bearer = true
		}
	}
	permission, ok := op.Extensions["x-permission"].(string)
	if !ok {
		return nil, errors.New("x-permission is missing")
	}
	if permission != "" && !out.bearer {
		return nil, errors.New("x-permission without bearer security")
	}
	out.permission = permission
	duties, _ := op.Extensions["x-for-duty"].([]any)
	for _, d := range duties {
		name, ok := d.(string)
		if !ok || !out.bearer {
			return nil, errors.New("x-for-duty is a list of names, of an operation with bearer security")
		}
		out.duties = append(out.duties, name)
	}
	var err error
	if out.lifetime, err = newLifetime(op); err != nil {
		return nil, err
	}
	out.alsoAtRoot, _ = op.Extensions["x-also-at-root"].(bool)
	out.conditional, _ = op.Extensions["x-conditional"].(bool)
	if documented := op.Responses.Value("304") != nil; documented != out.conditional {
		return nil, errors.New("x-conditional and a 304 answer belong together")
	}
	for _, list := range []openapi3.Parameters{item.Parameters, op.Parameters} {
		for _, ref := range list {
			places := []string{openapi3.ParameterInPath, openapi3.ParameterInQuery, openapi3.ParameterInHeader}
			if ref.Value.Schema == nil || !slices.Contains(places, ref.Value.In) {
				return nil, fmt.Errorf(
					"parameter %q: only path, query and header parameters with a schema are understood", ref.Value.Name,
				)
			}
			out.params = append(out.params, ref.Value)
		}
	}
	if op.RequestBody != nil {
		media := op.RequestBody.Value.Content["application/json"]
		if media == nil || media.Schema == nil || len(op.RequestBody.Value.Content) != 1 {
			return nil, errors.New("only application/json bodies are understood")
		}
		out.body, out.bodyRequired = media.Schema.Value, op.RequestBody.Value.Required
	}
	return out, nil
}

// validate returns nil or a VALIDATION_ERROR that names every bad input (PAYLOAD_TOO_LARGE for a body over the limit).
// The body can be read again afterwards. A body that the operation does not have is ignored.
func (o *operation) validate(r *http.Request) error {
	if o.forwarded {
		return nil
	}
	found := &findings{}
	o.checkParams(r, found)
	if o.body != nil {
		if err := o.checkBody(r, found); err != nil {
			return err
		}
	}
	return found.err()
}

func (o *operation) checkParams(r *http.Request, found *findings) {
	var query url.Values
	if r.URL.RawQuery != "" {
		var err error
		if query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			found.add("query", "주소의 조건 값을 해석할 수 없습니다")
			return
		}
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.ContainsFunc(o.params, func(p *openapi3.Parameter) bool {
			return p.In == openapi3.ParameterInQuery && p.Name == name
		}) {
			found.add(dotted([]string{name}), reasonUnknown)
		}
	}
	for _, p := range o.params {
		var values []string
		switch p.In {
		case openapi3.ParameterInPath:
			values = []string{r.PathValue(p.Name)}
		case openapi3.ParameterInHeader:
			values = r.Header.Values(p.Name)
		default:
			values = query[p.Name]
		}
		checkParam(p, values, found)
	}
}

func checkParam(p *openapi3.Parameter, values []string, found *findings) {
	switch {
	case len(values) == 0 && p.Required:
		found.add(p.Name, reasonRequired)
	case len(values) == 0:
	case len(values) > 1:
		found.add(p.Name, "한 번만 보낼 수 있습니다")
	case values[0] == "":
		found.add(p.Name, "값이 비어 있습니다")
	case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
		found.add(p.Name, reasonBadText)
	default:
		value, ok := typed(p.Schema.Value, values[0])
		if !ok {
			found.add(p.Name, untypedReason(p.Schema.Value, values[0]))
			return
		}
		found.schema(p.Name, asTyped(value, func(v any) error { return p.Schema.Value.VisitJSON(v, visit...) }))
	}
}

// typed reads the text of a parameter as the type of its schema; ok is false when it is not of that type.
func typed(schema *openapi3.Schema, text string) (any, bool) {
	switch {
	case schema.Type.Is(openapi3.TypeInteger):
		n, err := strconv.ParseInt(text, 10, 64)
		// Only the canonical form: no plus sign, no leading zeros.
		return float64(n), err == nil && strconv.FormatInt(n, 10) == text
	case schema.Type.Is(openapi3.TypeBoolean):
		return text == "true", slices.Contains([]string{"true", "false"}, text)
	default:
		return text, true
	}
}

// findings collects bad inputs, one reason per field: the first one found.
type findings struct{ fault *fault.Error }

func (f *findings) add(name, reason string) {
	if f.fault == nil {
		f.fault = fault.New(fault.ValidationError)
	}
	if !slices.ContainsFunc(f.fault.Fields(), func(have fault.Field) bool { return have.Name == name }) {
		f.fault = f.fault.WithField(name, reason)
	}
}

func (f *findings) err() error {
	if f.fault == nil {
		return nil
	}
	return f.fault
}
