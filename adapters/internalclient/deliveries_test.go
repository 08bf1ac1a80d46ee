package internalclient_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/rest/internalapi"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
)

// store is a service's deliveries, or its trouble.
type store struct {
	page     []delivery.Listed
	asked    delivery.Filter
	replay   error
	list     error
	replayed []id.ID
}

func (s *store) List(_ context.Context, f delivery.Filter) ([]delivery.Listed, int, error) {
	s.asked = f
	return s.page, 77, s.list
}

func (s *store) Replay(_ context.Context, event id.ID, _ time.Time) error {
	if s.replay == nil {
		s.replayed = append(s.replayed, event)
	}
	return s.replay
}

func serveDeliveries(t *testing.T, s *store) string {
	t.Helper()
	return serveInternal(t, &internalapi.Handlers{Deliveries: s})
}

func ask(t *testing.T, token string, origins ...string) *internalclient.Deliveries {
	t.Helper()
	l, err := internalclient.NewServices(internalclient.Access{Token: personal.NewSecret(token)}, internalclient.Service{
		Name: service, Origins: origins,
	},
		internalclient.Service{Name: "product-change", Origins: []string{"http://127.0.0.1:1"}})
	require.NoError(t, err)
	return l.Deliveries(service)
}

func TestDeliveriesTravelWhole(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 123_000, time.UTC)
	s := &store{page: []delivery.Listed{
		{
			ID: id.ID{1}, Kind: delivery.BillResult, Line: "010-****-5678", State: delivery.Parked, Sequence: 7, Attempts: 3,
			FinalAt: at,
			NextAt:  at.Add(1), DeliveredAt: at.Add(2), ReplayedAt: at.Add(3),
			Last: []delivery.AttemptRecord{{At: at.Add(4), State: delivery.Parked, Note: "HTTP 422"}},
		},
		{ID: id.ID{2}, Kind: delivery.BillResult, State: delivery.Pending, FinalAt: at},
	}}
	d := ask(t, "s3cret", "http://127.0.0.1:1", serveDeliveries(t, s))
	want := delivery.Filter{State: delivery.Parked, Since: at, Page: 2, Size: 50}
	page, total, err := d.List(t.Context(), want)
	require.NoError(t, err)
	require.Equal(t, want, s.asked)
	require.Equal(t, s.page, page)
	require.Equal(t, 77, total)
	require.NoError(t, d.Replay(t.Context(), id.ID{5}, at))
	require.Equal(t, []id.ID{{5}}, s.replayed)
}

func TestRefusalsOfDeliveriesAreTheService(t *testing.T) {
	t.Parallel()
	other := &store{}
	for name, c := range map[string]struct {
		err  error
		want fault.Code
	}{
		"unknown":  {fault.New(fault.ResourceNotFound), fault.ResourceNotFound},
		"pending":  {fault.New(fault.StateConflict), fault.StateConflict},
		"database": {errors.New("away"), ""},
	} {
		first := &store{replay: c.err, list: c.err}
		err := ask(t, "s3cret", serveDeliveries(t, first), serveDeliveries(t, other)).Replay(
			t.Context(), id.ID{1}, time.Time{},
		)
		if c.want == "" {
			require.NoError(t, err, "another instance may do better")
			_, _, err = ask(t, "s3cret", serveDeliveries(t, first)).List(t.Context(), delivery.Filter{Page: 1, Size: 1})
			require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
			continue
		}
		require.ErrorIs(t, err, fault.New(c.want), name)
	}
	require.Len(t, other.replayed, 1)
}

func TestDeliveriesThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]*internalclient.Deliveries{
		"nobody there": ask(t, "s3cret", "http://127.0.0.1:1"), "no instance": ask(t, "s3cret"),
		"another token":  ask(t, "other", serveDeliveries(t, &store{})),
		"an old release": ask(t, "s3cret", serve(t, http.NotFoundHandler())),
		"not JSON":       ask(t, "s3cret", serve(t, answering(http.StatusOK, "<html>"))),
		"a bad id":       ask(t, "s3cret", serve(t, answering(http.StatusOK, `{"items":[{"id":"x"}]}`))),
	} {
		_, _, err := d.List(t.Context(), delivery.Filter{Page: 1, Size: 1})
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)
	}
	url := serveDeliveries(t, &store{})
	for _, bad := range []string{
		"?page=x&size=1", "?page=1&size=", "?page=1&size=1&since=yesterday",
		"?page=1&size=1&state=FOO", "?page=1&size=1&kind=bill",
	} {
		req, err := http.NewRequestWithContext(
			t.Context(), http.MethodGet, url+internalapi.Base+"deliveries"+bad, http.NoBody,
		)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer s3cret")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusBadRequest, res.StatusCode)
	}
}
