package ctl

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/internalapi"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
)

// comparing is a service whose run is over when it has been asked three times; the second time it is away.
type comparing struct {
	mu     sync.Mutex
	from   time.Time
	to     time.Time
	asked  int
	report product.ReconciliationReport
	err    error
}

func (c *comparing) Start(_ context.Context, from, to time.Time) (product.ReconciliationRun, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.from, c.to, c.asked = from, to, 0
	return product.ReconciliationRun{ID: id.ID{7}}, nil
}

func (c *comparing) Report(_ context.Context, run id.ID) (product.ReconciliationReport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	r := c.report
	r.Run.ID = run
	switch {
	case c.err != nil:
		return r, c.err
	case c.asked == 2 && !run.IsZero():
		return r, fault.New(fault.ServiceUnavailable)
	case c.asked < 3 && !run.IsZero():
		r.Run.Finished = time.Time{}
	}
	return r, nil
}

func TestReconciliationIsRunAndShown(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	c := &comparing{report: product.ReconciliationReport{
		Run: product.ReconciliationRun{
			From: at.Add(-48 * time.Hour), To: at, Finished: at.Add(time.Minute), Checked: 70, Asked: 69, Unasked: 1,
		},
		Differences: []product.Difference{},
	}}
	srv := httptest.NewServer((&internalapi.Handlers{Reconciliations: c, Log: slog.New(slog.DiscardHandler)}).Handler())
	t.Cleanup(srv.Close)
	env := map[string]string{"PRODUCT_INTERNAL_URLS": srv.URL}
	command := "reconciliation"
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		console := Console{
			Env: func(key string) string { return env[key] }, Out: &out, Err: &out, Log: slog.New(slog.DiscardHandler),
		}
		err := Run(t.Context(), console, append([]string{command}, args...))
		return out.String(), err
	}
	out, err := run("check", "--since", "24h", "--until", "2026-11-21T12:00:00+09:00")
	require.NoError(t, err)
	require.Equal(t,
		"2026-11-19 03:00:00Z … 2026-11-21 03:00:00Z: 70 orders compared, 0 differences; KOS asked 69 times, undecided 0, "+
			"not asked 1; finished 2026-11-21 03:01:00Z\n", out)
	require.True(t, c.from.Equal(at.Add(-24*time.Hour)))
	require.True(t, c.to.Equal(at))

	c.report.Run.Found = 3
	c.report.Differences = []product.Difference{
		{RequestID: id.ID{1}, Line: "010-****-5678", Kind: product.NotDelivered, Found: at, Text: "its delivery is parked"},
	}
	for _, how := range []string{"check", "show"} {
		out, err = run(how)
		require.ErrorIs(t, err, ErrDiffer)
		require.Contains(t, out, "010-****-5678  NOT_TOLD  2026-11-21 03:00:00Z  its delivery is parked")
		require.Contains(t, out, "… and 2 more")
	}
	c.report.Run.Finished = time.Time{}
	out, err = run("show")
	require.ErrorIs(t, err, ErrDiffer)
	require.Contains(t, out, "still going on")
	command = "books" // its name in earlier releases
	again, err := run("show")
	require.ErrorIs(t, err, ErrDiffer)
	require.Equal(t, out, again)
	command = "reconciliation"

	_, err = run("check", "--until", "yesterday")
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	c.err = fault.New(fault.ResourceNotFound)
	_, err = run("check")
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound), "the run is gone")
	out, err = run("show")
	require.NoError(t, err, "no run yet is no error")
	require.Contains(t, out, "no reconciliation has run yet")
	env["PRODUCT_INTERNAL_URLS"] = "http://127.0.0.1:1"
	for _, how := range []string{"check", "show"} {
		_, err = run(how)
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), how)
	}
	env["PRODUCT_INTERNAL_URLS"] = "nowhere"
	for _, how := range []string{"check", "show"} {
		_, err = run(how)
		require.ErrorContains(t, err, "not an origin", how)
	}
}
