package internalclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/rest/internalapi"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/product"
)

// compared is a service's comparison, or its trouble.
type compared struct {
	report product.ReconciliationReport
	err    error
	asked  []id.ID
	from   []time.Time
}

func (c *compared) Start(_ context.Context, from, to time.Time) (product.ReconciliationRun, error) {
	c.from = append(c.from, from, to)
	return product.ReconciliationRun{ID: id.ID{1}, From: from, To: to, StartedAt: to}, c.err
}

func (c *compared) Report(_ context.Context, run id.ID) (product.ReconciliationReport, error) {
	c.asked = append(c.asked, run)
	return c.report, c.err
}

func serveBooks(t *testing.T, c *compared) string {
	t.Helper()
	return serveInternal(t, &internalapi.Handlers{Reconciliations: c})
}

func askBooks(t *testing.T, origins ...string) *internalclient.Reconciliations {
	t.Helper()
	to := internalclient.Access{Token: personal.NewSecret("s3cret")}
	l, err := internalclient.NewServices(to, internalclient.Service{
		Name: "product-change", Origins: origins,
	})
	require.NoError(t, err)
	return l.Reconciliations("product-change")
}

func TestComparisonsTravelWhole(t *testing.T) {
	t.Parallel()
	c := &compared{report: product.ReconciliationReport{
		Run: product.ReconciliationRun{
			ID: id.ID{1}, Nightly: true, From: said.Add(-time.Hour), To: said, StartedAt: said, Finished: said.Add(time.Minute),
			Reached: product.ReconciliationPlace{At: said.Add(-time.Minute)}, Checked: 6, Asked: 5, Undecided: 4,
			Unasked: 3, Found: 2,
		},
		Differences: []product.Difference{
			{
				RequestID: id.ID{2}, Line: "010-****-5678", Kind: product.NotDelivered, Found: said, Text: "its delivery is parked",
			},
			{RequestID: id.ID{3}, Kind: product.OursDoneKOSNot, Found: said, Text: "KOS does not know the transaction"},
		},
	}}
	b := askBooks(t, "http://127.0.0.1:1", serveBooks(t, c))
	report, err := b.Report(t.Context(), id.ID{})
	require.NoError(t, err)
	require.Equal(t, c.report, report)
	_, err = b.Report(t.Context(), id.ID{1})
	require.NoError(t, err)
	require.Equal(t, []id.ID{{}, {1}}, c.asked, "none is the last")
	run, err := b.Start(t.Context(), said.Add(-time.Hour), said)
	require.NoError(t, err)
	require.Equal(t, product.ReconciliationRun{ID: id.ID{1}, From: said.Add(-time.Hour), To: said, StartedAt: said}, run)
	require.Equal(t, []time.Time{said.Add(-time.Hour), said}, c.from)
}

func TestRefusedComparisons(t *testing.T) {
	t.Parallel()
	for code, want := range map[fault.Code]fault.Code{
		fault.StateConflict: fault.StateConflict, fault.ResourceNotFound: fault.ResourceNotFound,
		fault.ValidationError:  fault.ValidationError,
		fault.PermissionDenied: fault.ServiceUnavailable,
	} {
		b := askBooks(t, serveBooks(t, &compared{err: fault.New(code)}))
		_, err := b.Start(t.Context(), said, said)
		require.ErrorIs(t, err, fault.New(want))
		_, err = b.Report(t.Context(), id.ID{1})
		require.ErrorIs(t, err, fault.New(want))
	}
	for name, body := range map[string]string{
		"not JSON": "<html>", "no id": `{}`,
		"a bad order": `{"id":"` + id.ID{1}.String() + `","differences":[{"requestId":"x"}]}`,
	} {
		b := askBooks(t, serve(t, answering(http.StatusOK, body)))
		_, err := b.Report(t.Context(), id.ID{})
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)
	}
	well := serveBooks(t, &compared{})
	for _, bad := range [][3]string{
		{http.MethodPost, "", "<html>"}, {http.MethodPost, "", `{"from":"` + strings.Repeat("x", 2000) + `"}`},
		{http.MethodGet, "/x", ""},
	} {
		req, err := http.NewRequestWithContext(
			t.Context(), bad[0], well+internalapi.Base+"books/runs"+bad[1], strings.NewReader(bad[2]),
		)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer s3cret")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		raw, err := io.ReadAll(res.Body)
		require.NoError(t, errors.Join(err, res.Body.Close()))
		require.Equal(t, http.StatusBadRequest, res.StatusCode, bad)
		require.Contains(t, string(raw), "VALIDATION_ERROR")
	}
}
