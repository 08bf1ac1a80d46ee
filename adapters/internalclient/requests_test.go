package internalclient_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/rest/internalapi"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/core/staff"
)

// asked is a service's requests, or its trouble.
type asked struct {
	page  []staff.Request
	err   error
	seen  staff.Filter
	taken []id.ID
}

func (a *asked) List(_ context.Context, f staff.Filter) ([]staff.Request, int, error) {
	a.seen = f
	return a.page, 77, a.err
}

func (a *asked) Cancel(_ context.Context, request id.ID) error {
	a.taken = append(a.taken, request)
	return a.err
}

func serveRequests(t *testing.T, a *asked) string {
	t.Helper()
	return serveInternal(t, &internalapi.Handlers{Requests: a, RequestKind: staff.Change})
}

func askRequests(t *testing.T, origins ...string) *internalclient.Requests {
	t.Helper()
	to := internalclient.Access{Token: personal.NewSecret("s3cret")}
	l, err := internalclient.NewServices(to, internalclient.Service{
		Name: "product-change", Origins: origins,
	})
	require.NoError(t, err)
	return l.Requests("product-change")
}

func TestRequestsTravelWhole(t *testing.T) {
	t.Parallel()
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	a := &asked{page: []staff.Request{
		{
			ID: id.ID{1}, Kind: staff.Change, UserID: "hong1234", Line: "010-****-5678", State: "UNKNOWN", Subject: "LTE",
			RequestedAt: said,
			ProcessedAt: said.Add(1), NextAt: said.Add(2), Code: "0000", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
			Cancellable: true,
		},
		{ID: id.ID{2}, Kind: staff.Change, State: "REQUESTED", RequestedAt: said},
	}}
	of := askRequests(t, "http://127.0.0.1:1", serve(t, http.NotFoundHandler()), serveRequests(t, a))
	f := staff.Filter{
		Line: n, UserID: "hong1234", State: "UNKNOWN", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Page: 2, Size: 50,
	}
	page, total, err := of.List(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, f, a.seen)
	require.Equal(t, a.page, page)
	require.Equal(t, 77, total)
	require.NoError(t, askRequests(t, "http://127.0.0.1:1", serveRequests(t, a)).Cancel(t.Context(), id.ID{5}))
	require.Equal(t, []id.ID{{5}}, a.taken)
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	for _, code := range []fault.Code{fault.ResourceNotFound, fault.StateConflict} {
		err := askRequests(t, serveRequests(t, &asked{err: fault.New(code).WithMessage("까닭")})).Cancel(
			t.Context(), id.ID{1})
		require.ErrorIs(t, err, fault.New(code))
		require.Equal(t, "까닭", fault.From(err).Message())
	}
	for name, of := range map[string]*internalclient.Requests{
		"database": askRequests(t, serveRequests(t, &asked{err: errors.New("away")})),
		"nowhere":  askRequests(t, "http://127.0.0.1:1"),
		"not JSON": askRequests(t, serve(t, answering(http.StatusOK, "<html>"))),
		"a bad id": askRequests(t, serve(t, answering(http.StatusOK, `{"items":[{"id":"x"}]}`))),
	} {
		_, _, err := of.List(t.Context(), staff.Filter{Page: 1, Size: 1})
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)
	}
	url := serveRequests(t, &asked{})
	for _, bad := range []string{
		"", "<html>", `{"page":1,"size":1,"state":"FOO"}`, `{"page":1,"size":1,"state":"PROCESSING"}`,
		`{"page":1,"size":1,"kind":"CHANGE"}`,
		`{"page":0,"size":1}`, `{"page":1,"size":1,"line":"x"}`,
		`{"page":1,"size":1,"userId":"` + strings.Repeat("x", 5000) + `"}`,
	} {
		require.Equal(t, http.StatusBadRequest, posted(t, url+internalapi.Base+"requests"+"/search", bad), bad)
	}
	require.Equal(t, http.StatusBadRequest, posted(t, url+internalapi.Base+"requests"+"/x/cancel", ""))
}

func posted(t *testing.T, address, body string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer s3cret")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return res.StatusCode
}
