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
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/product"
)

// undecided is a service with two parked orders.
type undecided struct{ page, size int }

func (u *undecided) List(_ context.Context, page, size int) ([]product.ParkedOrder, int, error) {
	u.page, u.size = page, size
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	o := product.ParkedOrder{
		ID: id.ID{1}, TransactionID: id.ID{2}, Line: "010-****-5678", From: "LTE", To: "5G",
		EffectiveDate: calendar.DateOf(at),
		RequestedAt:   at, ParkedAt: at.Add(25 * time.Hour), Sends: 1, Reconciles: 99, KOSOrder: "KOS-7",
		Proposal: product.Resolution{Outcome: product.OutcomeFailed, Reason: "KOS에 없음", By: "kim", At: at},
	}
	return []product.ParkedOrder{o, {ID: id.ID{3}, EffectiveDate: o.EffectiveDate}}, 2, nil
}

func (*undecided) Resolve(context.Context, id.ID, product.Resolution) (product.Judgement, error) {
	return product.Proposed, nil
}

func TestParkedChangesAreListed(t *testing.T) {
	t.Parallel()
	u := &undecided{}
	h := &internalapi.Handlers{
		Token: personal.NewSecret("s3cret"), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		ParkedChanges: u,
	}
	srv := httptest.NewServer(h.Handler())
	t.Cleanup(srv.Close)
	env := map[string]string{"PRODUCT_INTERNAL_URLS": srv.URL, "INTERNAL_TOKEN": "s3cret"}
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		c := Console{
			Env: func(key string) string { return env[key] }, Out: &out, Err: &out, Log: slog.New(slog.DiscardHandler),
		}
		err := Run(t.Context(), c, append([]string{"parked"}, args...))
		return out.String(), err
	}
	out, err := run("--page", "2", "--size", "5")
	require.NoError(t, err)
	require.Contains(t, out, "010-****-5678")
	require.Contains(t, out, "FAILED by kim until 2026-11-22 03:00:00Z: KOS에 없음")
	require.Contains(t, out, "2 in all")
	require.Equal(t, undecided{2, 5}, *u)

	order := id.ID{1}.String()
	_, err = run("resolve", "not-an-id", "--outcome", "FAILED", "--reason", "because of that")
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	_, err = run("resolve", order, "--outcome", "FAILED")
	require.ErrorContains(t, err, "reason")
	_, err = run("resolve", order, "--reason", "because of that")
	require.ErrorContains(t, err, "outcome")
	require.Equal(t, "resolved", said(product.Confirmed))
	require.Contains(t, said(product.Proposed), "another person")
	env["PRODUCT_INTERNAL_URLS"] = "http://127.0.0.1:1"
	_, err = run()
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
}
