package ctl

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/internalapi"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
)

// oneParked is a service with one parked delivery.
type oneParked struct{ asked delivery.Filter }

func (p *oneParked) List(_ context.Context, f delivery.Filter) ([]delivery.Listed, int, error) {
	p.asked = f
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	return []delivery.Listed{
		{
			ID: id.ID{1}, Line: "010-****-5678", State: delivery.Parked, Sequence: 7, Attempts: 1, FinalAt: at,
			Last: []delivery.AttemptRecord{{At: at, State: delivery.Parked, Note: "HTTP 422"}},
		},
		{ID: id.ID{2}, Line: "010-****-5678", State: delivery.Pending, FinalAt: at},
	}, 2, nil
}

func (*oneParked) Replay(context.Context, id.ID, time.Time) error { return nil }

func TestDeliveriesAreListed(t *testing.T) {
	t.Parallel()
	p := &oneParked{}
	h := &internalapi.Handlers{
		Token: personal.NewSecret("s3cret"), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Deliveries: p,
	}
	srv := httptest.NewServer(h.Handler())
	t.Cleanup(srv.Close)
	env := map[string]string{
		"BILL_INTERNAL_URLS": "http://127.0.0.1:1", "PRODUCT_INTERNAL_URLS": srv.URL, "INTERNAL_TOKEN": "s3cret",
	}
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		c := Console{
			Env: func(key string) string { return env[key] }, Out: &out, Err: &out, Log: slog.New(slog.DiscardHandler),
		}
		err := Run(t.Context(), c, append([]string{"deliveries"}, args...))
		return out.String(), err
	}
	out, err := run("list", "--kind", "change", "--state", "PARKED", "--since", "24h", "--page", "2", "--size", "5")
	require.NoError(t, err)
	require.Contains(t, out, "010-****-5678")
	require.Contains(t, out, "2026-11-21 03:00:00Z HTTP 422")
	require.Contains(t, out, "2 in all")
	require.Equal(t, delivery.Parked, p.asked.State)
	require.Equal(t, 2, p.asked.Page)
	require.Equal(t, 5, p.asked.Size)
	require.WithinDuration(t, time.Now().Add(-24*time.Hour), p.asked.Since, time.Minute)
	_, err = run("list")
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "no bill instance answers")
	_, err = run("replay", "not-an-id", "--reason", "because")
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	_, err = run("replay", id.ID{1}.String())
	require.ErrorContains(t, err, "reason")
}
