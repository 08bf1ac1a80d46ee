package contract_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/contract"
	"phonebill/openapi"
)

// TestLoad reads the published files, whose error answers the generated code does not have.
func TestLoad(t *testing.T) {
	t.Parallel()
	for _, name := range []string{openapi.Auth, openapi.Bill, openapi.Product, openapi.Operations} {
		spec, err := contract.Load(name)
		require.NoError(t, err)
		for path, item := range spec.Paths.Map() {
			for method, op := range item.Operations() {
				documented := op.Responses.Status(503)
				require.NotNil(t, documented, "%s %s", method, path)
				require.NotEmpty(t, documented.Value.Content["application/json"].Examples, "%s %s", method, path)
			}
		}
		again, err := contract.Load(name)
		require.NoError(t, err)
		require.Same(t, spec, again)
	}
	_, err := contract.Load("secret.yaml")
	require.ErrorContains(t, err, "secret.yaml")
}
