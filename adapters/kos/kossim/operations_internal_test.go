package kossim

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// TestEveryOperationHasACompleteEndpoint: the endpoints are the operations of openapi/kos-control.yaml, and no part of
// one but trim is missing.
func TestEveryOperationHasACompleteEndpoint(t *testing.T) {
	t.Parallel()
	control, err := openapi3.NewLoader().LoadFromFile("../../../openapi/kos-control.yaml")
	require.NoError(t, err)
	var declared []any
	for _, e := range endpoints() {
		require.NotEmpty(t, e.route, e.name)
		require.NotNil(t, e.parse, e.name)
		require.Positive(t, e.delay(DefaultDelays()), e.name)
		declared = append(declared, string(e.name))
	}
	specified := control.Components.Schemas["Call"].Value.Properties["operation"].Value.Enum
	require.ElementsMatch(t, specified, declared)
	require.True(t, isOperation(AnyOperation))
	require.False(t, isOperation("bill"))
}
