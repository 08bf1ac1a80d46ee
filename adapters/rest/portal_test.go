package rest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/resttest"
)

// TestPublicSpecificationsAreADeveloperPortal holds every public operation to what a front-end developer needs, and
// every example to its schema.
func TestPublicSpecificationsAreADeveloperPortal(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]*openapi3.T{
		"auth": resttest.Auth(t), "bill": resttest.Bill(t), "product": resttest.Product(t),
		"operations": resttest.Operations(t),
	} {
		require.NoError(t, spec.Validate(t.Context()), name)
		for path, item := range spec.Paths.Map() {
			for method, op := range item.Operations() {
				at := name + " " + method + " " + path
				require.NotEmpty(t, op.OperationID, at)
				require.NotEmpty(t, op.Summary, at)
				require.NotEmpty(t, op.Description, at)
				require.Regexp(t, `^UFR-(AUTH|BILL|PROD)-\d{3}(, UFR-(AUTH|BILL|PROD)-\d{3})*$`, op.Extensions["x-user-story"], at)
				require.Contains(t, []any{
					"", "BILL_INQUIRY", "PRODUCT_CHANGE", "USER_ADMIN", "OPERATIONS",
				}, op.Extensions["x-permission"], at)
				if op.RequestBody != nil {
					schema := op.RequestBody.Value.Content["application/json"].Schema.Value
					require.False(t, *schema.AdditionalProperties.Has, at+": an unknown field must be refused")
					hasExamples(t, at, op.RequestBody.Value.Content)
				}
				for status, response := range op.Responses.Map() {
					if status == "304" { // it has no content
						continue
					}
					hasExamples(t, at+" "+status, response.Value.Content)
				}
				for _, status := range []int{429, 500, 502, 503, 504} {
					require.NotNil(t, op.Responses.Status(status), "%s documents no %d", at, status)
				}
			}
		}
	}
}

func hasExamples(t *testing.T, at string, content openapi3.Content) {
	t.Helper()
	require.NotEmpty(t, content, at)
	for media, c := range content {
		require.NotEmpty(t, c.Examples, "%s %s", at, media)
		for name, example := range c.Examples {
			text, err := json.Marshal(example.Value.Value)
			require.NoError(t, err)
			var value any
			require.NoError(t, json.NewDecoder(strings.NewReader(string(text))).Decode(&value))
			require.NoErrorf(t, c.Schema.Value.VisitJSON(value, openapi3.MultiErrors()), "%s %s %s", at, media, name)
		}
	}
}

// TestGeneratedCodeHasNoErrorAnswers: handlers return errors, and openapi/server.overlay.yaml removes the error answers
// before code is generated. A status that is new in the specifications must be added there.
func TestGeneratedCodeHasNoErrorAnswers(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("internal/*gen/*.gen.go")
	require.NoError(t, err)
	require.Len(t, files, 6)
	for _, file := range files {
		code, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotRegexp(t, `[45]\d\d\w*Response|defaultJSONResponse`, string(code), file)
	}
}
