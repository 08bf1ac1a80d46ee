package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/rest/contract"
	"phonebill/core/auth"
	"phonebill/core/auth/access"
	"phonebill/core/id"
	"phonebill/core/operations"
)

// TestInAMaintenance: customers get nothing of the services that are switched off; those who can end it do.
func TestInAMaintenance(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 17, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	tokens := &memory.AccessTokens{}
	revoked := access.NewRevoked(&memory.Revocations{}, nil, clock, time.Hour)
	require.NoError(t, revoked.Pull(t.Context()))
	var is operations.Maintenance
	c := config()
	c.Clock, c.Maintenance = clock, func() operations.Maintenance { return is }
	c.Authenticator = contract.AccessGuard{Guard: &access.Guard{Verifier: tokens, Revoked: revoked, Now: clock}}
	h := newGateway(t, c)
	as := func(permissions ...auth.Permission) string {
		token, err := tokens.Issue(t.Context(), auth.Principal{
			UserID: "somebody", SessionID: id.ID{1}, Permissions: permissions, ExpiresAt: now.Add(time.Hour),
		}, now)
		require.NoError(t, err)
		return token.Reveal()
	}
	customer := as(auth.BillInquiry, auth.ProductChange)
	operator := as(auth.BillInquiry, auth.ProductChange, auth.Operations)
	asks := func(bearer string) (statuses []int) {
		for _, request := range [][2]string{
			{http.MethodGet, "/bills/menu"}, {http.MethodPost, "/bills/inquiry"}, {http.MethodGet, "/products/menu"},
			{http.MethodPost, "/products/change"}, {http.MethodGet, "/auth/sessions"},
		} {
			res := send(h, request[0], "/api/v1"+request[1], bearer)
			text := body(t, res)
			if res.StatusCode == http.StatusServiceUnavailable {
				require.Equal(t, "3600", res.Header.Get("Retry-After"), request)
				require.Contains(t, text, `"reason":"MAINTENANCE"`, request)
				require.Contains(t, text, "3월 15일 03:00 이후", request)
			}
			statuses = append(statuses, res.StatusCode)
		}
		return statuses
	}
	all := []int{200, 200, 200, 200, 200}
	require.Equal(t, all, asks(customer))
	is = operations.Maintenance{From: now, Until: now.Add(time.Hour), Scope: operations.AllOperations}
	require.Equal(t, []int{503, 503, 503, 503, 200}, asks(customer))
	require.Equal(t, all, asks(operator))
	is.Scope = operations.ChangesOnly
	require.Equal(t, []int{200, 200, 200, 503, 200}, asks(customer))
	is.From = now.Add(1)
	require.Equal(t, all, asks(customer), "it is planned")
}
