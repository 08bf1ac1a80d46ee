package internalclient_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/personal"
)

type searchBudget struct {
	spent []string
	err   error
}

func (b *searchBudget) Spend(_ context.Context, person string, n line.Number) (string, error) {
	b.spent = append(b.spent, person+" "+n.Digits())
	return "abc123", b.err
}

// TestSearchesAreCountedByTheAuthService: for a caller with the gateway's credential, with a Retry-After.
func TestSearchesAreCountedByTheAuthService(t *testing.T) {
	t.Parallel()
	budget := &searchBudget{}
	h := &internalapi.Handlers{
		Token: personal.NewSecret("s3cret"), Log: slog.New(slog.DiscardHandler), Searches: budget,
		Audit: &internalapi.AuditTrail{
			Gateway: personal.NewSecret("gateways own"), AcceptsUncredentialed: func() bool { return false },
		},
	}
	srv := httptest.NewServer(resttest.Internal(t, h.Handler()))
	t.Cleanup(srv.Close)
	all := internalclient.NewAuth(nil, []string{srv.URL}, []string{srv.URL}, personal.NewSecret("s3cret"))
	gateway := all.WithAuditCredential(personal.NewSecret("gateways own"))
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	spend := func(by *internalclient.Auth, person string, n line.Number) error {
		index, err := by.Spend(t.Context(), person, n)
		require.Equal(t, err == nil, index == "abc123")
		return err
	}
	require.NoError(t, spend(gateway, "operator-kim", n))
	require.Equal(t, []string{"operator-kim 01012345678"}, budget.spent)
	unavailable := fault.New(fault.ServiceUnavailable)
	require.ErrorIs(t, spend(all, "operator-kim", n), unavailable, "INTERNAL_TOKEN alone spends no searches")
	require.ErrorIs(t, spend(gateway, "", n), unavailable)
	require.ErrorIs(t, spend(gateway, "operator-kim", line.Number{}), unavailable, "not a line")
	require.Len(t, budget.spent, 1)
	budget.err = fault.New(fault.RateLimitExceeded).RetryIn(90 * time.Second)
	err = spend(gateway, "operator-kim", n)
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
	require.Equal(t, 90*time.Second, fault.From(err).RetryAfter())
	budget.err = errors.New("away")
	require.ErrorIs(t, spend(gateway, "operator-kim", n), unavailable)
}
