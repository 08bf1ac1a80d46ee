package contract

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"phonebill/core/fault"
)

func TestDottedNamesAPlaceAndStaysShort(t *testing.T) {
	t.Parallel()
	require.Equal(t, "body", dotted(nil))
	require.Equal(t, "items.0.name", dotted([]string{"items", "0", "name"}))
	require.Equal(t, "ab", dotted([]string{"a\x00b"}))
	require.Equal(t, "body", dotted([]string{""}))
	require.Equal(t, strings.Repeat("가", 64)+"…", dotted([]string{strings.Repeat("가", 100)}))
}

func TestParseNamesTheDeepPlace(t *testing.T) {
	t.Parallel()
	_, field, reason := parse([]byte(`{"items":[{"name":"a"},{"name":"\u0000"}]}`))
	require.Equal(t, "items.1.name", field)
	require.Equal(t, reasonBadText, reason)
	value, _, reason := parse([]byte(`{"a":[1,true,null,"x",{}]}`))
	require.Empty(t, reason)
	require.Equal(t, map[string]any{"a": []any{json.Number("1"), true, nil, "x", map[string]any{}}}, value)
}

func FuzzParseIsStricterThanJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[1,]`, `{"a":1,}`, `{"a" 1}`, `{"a":1 "b":2}`, `1 2`, `"\ud800"`, `{"a":{"a":[[]]}}`, `{,}`, `[}`, `01`, `-`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, field, reason := parse(data)
		if reason == "" {
			require.Truef(t, json.Valid(data), "%q was taken for JSON", data)
		} else {
			require.NotEmpty(t, field)
		}
	})
}

const mini = `
openapi: 3.0.3
info: {title: mini, version: '1'}
servers: [{url: /base}]
paths:
  /things/{name}:
    get:
      x-permission: ''
      security: []
      parameters:
        - {name: name, in: path, required: true, schema: {type: string, minLength: 3, maxLength: 4}}
        - {name: X-Kind, in: header, required: true, schema: {type: boolean}}
      responses: {'200': {description: ok}}
  /things/fixed:
    post:
      x-permission: ''
      x-also-at-root: true
      security: []
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                list:
                  type: array
                  items: {type: object, additionalProperties: false, properties: {n: {type: number, maximum: 2}}}
                flag: {type: boolean}
                text: {type: string, format: email, nullable: false}
                odd: {type: string, pattern: '^a+$'}
      responses: {'200': {description: ok}}
`

func load(t *testing.T, text string) *openapi3.T {
	t.Helper()
	spec, err := openapi3.NewLoader().LoadFromData([]byte(text))
	require.NoError(t, err)
	return spec
}

type closed struct{}

func (closed) Authenticate(context.Context, string, string, ...string) (context.Context, error) {
	return nil, fault.New(fault.Unauthorized)
}

func serveMini(t *testing.T, method, target, body string, headers ...string) (int, string, *fault.Error) {
	t.Helper()
	var failed *fault.Error
	router, err := NewRouter(
		load(t, mini), closed{}, func(_ http.ResponseWriter, _ *http.Request, err error) { failed = fault.From(err) },
	)
	require.NoError(t, err)
	require.Equal(t, "/base", router.Base())
	for _, pattern := range []string{"GET /base/things/{name}", "POST /base/things/fixed"} {
		router.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	}
	require.NoError(t, router.Complete())
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	router.ServeHTTP(rec, req)
	return rec.Code, rec.Header().Get("Allow"), failed
}

func TestFixedPathGoesBeforeTheTemplatedOne(t *testing.T) {
	t.Parallel()
	_, allow, failed := serveMini(t, "GET", "/base/things/fixed", "")
	require.Equal(t, fault.BadMethod, failed.Code())
	require.Equal(t, "POST", allow)
	status, _, _ := serveMini(t, "POST", "/things/fixed", "")
	require.Equal(t, http.StatusNoContent, status, "also at the root, and its body is optional")
	_, _, failed = serveMini(t, "POST", "/base/", "")
	require.Equal(t, fault.ResourceNotFound, failed.Code())
}

func TestParametersAndBodiesOfEveryKind(t *testing.T) {
	t.Parallel()
	_, _, failed := serveMini(t, "GET", "/base/things/a", "")
	require.Equal(t, []fault.Field{
		{Name: "name", Reason: "3자 이상이어야 합니다"}, {Name: "X-Kind", Reason: reasonRequired},
	}, failed.Fields())
	_, _, failed = serveMini(t, "GET", "/base/things/abcde", "", "X-Kind", "yes")
	require.Equal(t, []fault.Field{
		{Name: "name", Reason: "4자 이하여야 합니다"}, {Name: "X-Kind", Reason: "true 또는 false여야 합니다"},
	}, failed.Fields())
	status, _, _ := serveMini(t, "GET", "/base/things/abc", "", "X-Kind", "true")
	require.Equal(t, http.StatusNoContent, status)
	for body, want := range map[string]fault.Field{
		`{"list":[{"n":3}]}`:       {Name: "list.0.n", Reason: "2 이하여야 합니다"},
		`{"list":[{},{"m":1}]}`:    {Name: "list.1.m", Reason: reasonUnknown},
		`{"list":[{"n":"x"}]}`:     {Name: "list.0.n", Reason: "숫자여야 합니다"},
		`{"list":{}}`:              {Name: "list", Reason: "배열이어야 합니다"},
		`{"list":[1]}`:             {Name: "list.0", Reason: "JSON 객체여야 합니다"},
		`{"flag":"true"}`:          {Name: "flag", Reason: "true 또는 false여야 합니다"},
		`{"odd":"b"}`:              {Name: "odd", Reason: "형식이 올바르지 않습니다"},
		`{"text":null}`:            {Name: "text", Reason: "문자열이어야 합니다"},
		`{"list":[{"n":1e400}]}`:   {Name: "list.0.n", Reason: "숫자여야 합니다"},
		`{"odd":"b","odd":"aaaa"}`: {Name: "odd", Reason: "같은 항목이 두 번 있습니다"},
	} {
		_, _, failed := serveMini(t, "POST", "/base/things/fixed", body)
		require.NotNil(t, failed, body)
		require.Equal(t, []fault.Field{want}, failed.Fields(), body)
	}
}

// TestATextIsAsLongAsItLooks: a device that sends NFD may use the lengths of the specification as one that sends NFC.
func TestATextIsAsLongAsItLooks(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"각각각각": http.StatusNoContent, "각각각각각": 0} {
		for _, spelling := range []string{name, norm.NFD.String(name)} {
			status, _, failed := serveMini(t, "GET", "/base/things/"+url.PathEscape(spelling), "", "X-Kind", "true")
			if want != 0 {
				require.Equal(t, want, status, spelling)
				continue
			}
			require.Equal(t, []fault.Field{{Name: "name", Reason: "4자 이하여야 합니다"}}, failed.Fields())
		}
	}
	value := map[string]any{"a": []any{norm.NFD.String("각"), true}, "b": json.Number("1")}
	composed, changed := nfc(value)
	require.True(t, changed)
	require.Equal(t, map[string]any{"a": []any{"각", true}, "b": json.Number("1")}, composed)
	_, changed = nfc(composed)
	require.False(t, changed)
}

func TestSpecificationsThatCannotBeEnforcedAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "x-permission is missing",
		"x-permission: ''\n      x-for-duty: [1]":       "x-for-duty is a list of names",
		"x-permission: BILL":                            "x-permission without bearer security",
		"x-permission: ''\n      security: [{key: []}]": `security scheme "key" is not bearer`,
		"x-permission: ''\n      parameters: [{name: c, in: cookie, schema: {type: string}}]": `parameter "c"`,
		"x-permission: ''\n      requestBody: {content: {text/plain: {schema: {type: string}}}}": "" +
			"only application/json bodies",
	} {
		spec := load(t, "openapi: 3.0.3\ninfo: {title: t, version: '1'}\nservers: [{url: /base}]\n"+
			"components:\n  securitySchemes:\n"+
			"    key: {type: apiKey, in: header, name: K}\npaths:\n  /x:\n    get:\n      "+text+
			"\n      responses: {'200': {description: ok}}\n")
		router, err := NewRouter(spec, closed{}, nil)
		require.NoError(t, err)
		router.HandleFunc("GET /base/x", nil)
		require.ErrorContains(t, router.Complete(), want)
	}
}

// TestUnknownQueryParametersAreNamed: a misspelt filter must not answer as if there were none.
func TestUnknownQueryParametersAreNamed(t *testing.T) {
	t.Parallel()
	_, _, failed := serveMini(t, "GET", "/base/things/able?nam=x&kind=y", "", "X-Kind", "true")
	require.Equal(t, fault.ValidationError, failed.Code())
	require.Equal(t, []fault.Field{
		{Name: "kind", Reason: reasonUnknown}, {Name: "nam", Reason: reasonUnknown},
	}, failed.Fields())
	_, _, failed = serveMini(t, "POST", "/base/things/fixed?dryRun=true", "{}")
	require.Equal(t, []fault.Field{{Name: "dryRun", Reason: reasonUnknown}}, failed.Fields(), "an operation without any")
}

func TestWhatIsWrongWithAWholeNumber(t *testing.T) {
	t.Parallel()
	bounded := openapi3.NewIntegerSchema().WithMin(1).WithMax(100)
	for text, want := range map[string]string{
		"01": "앞에 0을 붙이지 않은 정수여야 합니다", "100000000000000000000": "100 이하여야 합니다",
		"-100000000000000000000": "1 이상이어야 합니다",
		"+1":                     "정수여야 합니다", "1.0": "정수여야 합니다", "x": "정수여야 합니다", "-": "정수여야 합니다",
		"١": "정수여야 합니다",
	} {
		found := &findings{}
		checkParam(&openapi3.Parameter{Name: "page", Schema: bounded.NewRef()}, []string{text}, found)
		require.Equal(t, []fault.Field{{Name: "page", Reason: want}}, found.fault.Fields(), text)
	}
	found := &findings{}
	checkParam(&openapi3.Parameter{Name: "n", Schema: openapi3.NewIntegerSchema().NewRef()}, []string{
		"100000000000000000000",
	}, found)
	require.Equal(t, "너무 큰 수입니다", found.fault.Fields()[0].Reason)
}
