package bundle_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"testing"
	"testing/fstest"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"phonebill/openapi"
	"phonebill/openapi/bundle"
)

// TestTheBundleIsUpToDate holds the committed file against what the specifications say.
func TestTheBundleIsUpToDate(t *testing.T) {
	t.Parallel()
	want, err := bundle.Public(openapi.Files)
	require.NoError(t, err)
	have, err := os.ReadFile("../bundle.yaml")
	require.NoError(t, err)
	require.Equal(t, string(want), string(have), "run make gen/openapi")
}

// TestBundlesStandAlone: each is valid without any other file, has all operations, and says the same in JSON.
func TestBundlesStandAlone(t *testing.T) {
	t.Parallel()
	operations := map[string]bool{}
	for _, name := range bundle.Services() {
		document, err := bundle.Service(openapi.Files, name)
		require.NoError(t, err)
		for id := range validate(t, document) {
			require.False(t, operations[id], id)
			operations[id] = true
		}
	}
	document, err := bundle.Public(openapi.Files)
	require.NoError(t, err)
	require.Equal(t, operations, validate(t, document))
}

func validate(t *testing.T, document []byte) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	spec, err := openapi3.NewLoader().LoadFromData(document) // it refuses references to other files
	require.NoError(t, err)
	require.NoError(t, spec.Validate(t.Context()))
	for _, item := range spec.Paths.Map() {
		for _, operation := range item.Operations() {
			ids[operation.OperationID] = true
		}
	}
	var fromYAML, fromJSON any
	text, err := bundle.JSON(document)
	require.NoError(t, err)
	_, err = openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &fromYAML)) // JSON is YAML
	require.NoError(t, json.Unmarshal(text, &fromJSON))
	again, err := json.Marshal(fromYAML)
	require.NoError(t, err)
	require.JSONEq(t, string(again), string(text))
	return ids
}

// TestWhatTwoServicesMeanDifferentlyIsRefused: a bundle never lets one service's component stand for another's.
func TestWhatTwoServicesMeanDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	const head = "openapi: 3.0.3\ninfo: {title: a, version: 1.0.0, description: text}\n" +
		"servers: [{url: /api/v1}]\nsecurity: []\n"
	empty := func(tag string) string {
		return head + "tags: [{name: " + tag + "}]\npaths: {}\ncomponents: {}\n"
	}
	base := fstest.MapFS{}
	put := func(files fstest.MapFS, name, text string) { files[name] = &fstest.MapFile{Data: []byte(text)} }
	put(base, "common.yaml", head+"paths: {}\ncomponents: {schemas: {A: {type: string}}}\n")
	for _, name := range bundle.Services() {
		put(base, name+".yaml", empty(name))
	}
	_, err := bundle.Public(base)
	require.NoError(t, err)

	const operation = "{get: {operationId: one, responses: {'200': {description: ok, " +
		"content: {application/json: {schema: {$ref: './common.yaml#/components/schemas/A'}}}}}}}"
	for _, c := range []struct {
		name, want string
		files      map[string]string
	}{
		{"another component", "schemas/A has two meanings", map[string]string{
			"bill.yaml": head + "tags: []\npaths: {/a: " + operation + "}\ncomponents: {schemas: {A: {type: integer}}}\n",
		}},
		{"an operation twice", "operation one is in bill as well", map[string]string{
			"bill.yaml":    head + "tags: []\npaths: {/a: " + operation + "}\ncomponents: {}\n",
			"product.yaml": head + "tags: []\npaths: {/b: " + operation + "}\ncomponents: {}\n",
		}},
		{"a tag twice", "tag auth is in auth as well", map[string]string{"bill.yaml": empty("auth")}},
		{"a file that is not shared", "another file than common.yaml", map[string]string{
			"bill.yaml": head + "tags: []\npaths: {/a: {$ref: './auth.yaml#/paths/a'}}\ncomponents: {}\n",
		}},
		{"a missing component", "common.yaml has no schemas/B", map[string]string{
			"bill.yaml": head + "tags: []\npaths: {/a: {$ref: './common.yaml#/components/schemas/B'}}\ncomponents: {}\n",
		}},
	} {
		files := maps.Clone(base)
		for name, text := range c.files {
			put(files, name, text)
		}
		_, err := bundle.Public(fs.FS(files))
		require.ErrorContains(t, err, c.want, c.name)
	}
	_, err = bundle.Service(base, "internal")
	require.ErrorContains(t, err, "no public specification")
}
