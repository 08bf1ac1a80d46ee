package contract_test

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/contract"
	"phonebill/core/upstream"
	"phonebill/openapi"
)

func TestTraits(t *testing.T) {
	t.Parallel()
	all := map[string]contract.Traits{}
	for _, name := range []string{openapi.Auth, openapi.Bill, openapi.Product} {
		spec, err := contract.Load(name)
		require.NoError(t, err)
		of, err := contract.TraitsOf(spec)
		require.NoError(t, err)
		for pattern, traits := range of {
			all[pattern] = traits
		}
	}
	for pattern, want := range map[string]upstream.Class{
		"POST /api/v1/auth/login": upstream.First, "POST /api/v1/auth/refresh": upstream.First,
		"POST /api/v1/products/change": upstream.First, "GET /api/v1/bills/menu": upstream.Read,
		"POST /api/v1/bills/inquiry": upstream.Read, "GET /api/v1/bills/history": upstream.List,
		"GET /api/v1/products/history": upstream.List, "GET /api/v1/admin/users": upstream.List,
		"GET /api/v1/.well-known/jwks.json": upstream.Read, "GET /.well-known/jwks.json": upstream.Read,
	} {
		require.Contains(t, all, pattern)
		require.Equal(t, want, all[pattern].Class, pattern)
	}
	require.Equal(t, "요금 조회 신청에 실패하였습니다", all["POST /api/v1/bills/inquiry"].Failure)

	require.True(t, all["GET /api/v1/bills/inquiry/{requestId}"].Waits)
	require.True(t, all["GET /api/v1/products/change/{requestId}"].Waits)
	require.False(t, all["GET /api/v1/bills/history"].Waits)

	wrong := &openapi3.T{Paths: openapi3.NewPaths(openapi3.WithPath("/x", &openapi3.PathItem{
		Get: &openapi3.Operation{Extensions: map[string]any{"x-priority": "urgent"}},
	}))}
	_, err := contract.TraitsOf(wrong)
	require.ErrorContains(t, err, `GET /x: "urgent" is not a priority`)
}
