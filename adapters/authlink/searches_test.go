package authlink_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/authlink"
	"phonebill/adapters/rest/feed"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

type searchBudget struct {
	spent []string
	err   error
}

func (b *searchBudget) Spend(_ context.Context, person string) error {
	b.spent = append(b.spent, person)
	return b.err
}

// TestSearchesAreCountedByTheAuthService: for who has the gateway's credential, with the time until there is one again.
func TestSearchesAreCountedByTheAuthService(t *testing.T) {
	t.Parallel()
	budget := &searchBudget{}
	mux := http.NewServeMux()
	mux.Handle("POST "+feed.SearchesPath, feed.Protected(personal.NewSecret("s3cret"), feed.SearchesHandler(feed.AuditWriters{
		Gateway: personal.NewSecret("gateways own"), Uncredentialed: func() bool { return false },
	}, budget, slog.New(slog.DiscardHandler))))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	all := authlink.New(srv.URL, srv.URL, personal.NewSecret("s3cret"))
	gateway := all.Auditing(personal.NewSecret("gateways own"))
	require.NoError(t, gateway.Spend(t.Context(), "operator-kim"))
	require.Equal(t, []string{"operator-kim"}, budget.spent)
	unavailable := fault.New(fault.ServiceUnavailable)
	require.ErrorIs(t, all.Spend(t.Context(), "operator-kim"), unavailable, "INTERNAL_TOKEN alone spends nobody's searches")
	require.ErrorIs(t, gateway.Spend(t.Context(), ""), unavailable)
	require.Len(t, budget.spent, 1)
	budget.err = fault.New(fault.RateLimitExceeded).RetryIn(90 * time.Second)
	err := gateway.Spend(t.Context(), "operator-kim")
	require.ErrorIs(t, err, fault.New(fault.RateLimitExceeded))
	require.Equal(t, 90*time.Second, fault.From(err).RetryAfter())
	budget.err = errors.New("away")
	require.ErrorIs(t, gateway.Spend(t.Context(), "operator-kim"), unavailable)
}
