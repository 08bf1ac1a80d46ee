package internalapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/delivery"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/staff"
	"phonebill/openapi"
)

// Stand-ins for parts that a request without the right token must not reach: they panic.
type (
	searches   struct{}
	found      struct{ requests []staff.Request }
	parked     struct{}
	compared   struct{}
	deliveries struct{}
)

func (searches) Spend(context.Context, string, line.Number) (string, error) { panic("reached") }

func (f found) List(context.Context, staff.Filter) ([]staff.Request, int, error) {
	return f.requests, len(f.requests), nil
}
func (found) Cancel(context.Context, id.ID) error { return nil }

func (deliveries) List(context.Context, delivery.Filter) ([]delivery.Listed, int, error) {
	panic("reached")
}
func (deliveries) Replay(context.Context, id.ID, time.Time) error { panic("reached") }

func (parked) List(context.Context, int, int) ([]product.ParkedOrder, int, error) { panic("reached") }
func (parked) Resolve(context.Context, id.ID, product.Resolution) (product.Judgement, error) {
	panic("reached")
}

func (compared) Start(context.Context, time.Time, time.Time) (product.ReconciliationRun, error) {
	panic("reached")
}
func (compared) Report(context.Context, id.ID) (product.ReconciliationReport, error) {
	panic("reached")
}

// everything has all parts, behind the token "s3cret".
func everything() *internalapi.Handlers {
	return &internalapi.Handlers{
		Token: personal.NewSecret("s3cret"), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Revocations: &source{}, SessionUse: &use{}, Audit: &internalapi.AuditTrail{}, Searches: searches{},
		Status:     func(context.Context) operations.Status { return operations.Status{} },
		Deliveries: deliveries{}, Timelines: memory.Timelines{}, Requests: found{}, RequestKind: staff.Change,
		ParkedChanges: parked{}, Reconciliations: compared{},
	}
}

// TestEveryOperationWantsTheToken and each is served only by a service that has its part.
func TestEveryOperationWantsTheToken(t *testing.T) {
	t.Parallel()
	spec, err := contract.Load(openapi.Internal)
	require.NoError(t, err)
	require.NoError(t, spec.Validate(t.Context()))
	all := resttest.Internal(t, everything().Handler())
	none := resttest.Internal(t, (&internalapi.Handlers{Log: slog.New(slog.DiscardHandler)}).Handler())
	for template, item := range spec.Paths.Map() {
		path := strings.NewReplacer("{id}", id.ID{1}.String(), "{run}", "last").Replace(template)
		for method := range item.Operations() {
			for _, bearer := range []string{"", "Bearer ", "Bearer other", "s3cret"} {
				req := httptest.NewRequest(method, path, strings.NewReader("{}"))
				req.Header.Set("Authorization", bearer)
				rec := httptest.NewRecorder()
				all.ServeHTTP(rec, req)
				require.Equal(t, http.StatusUnauthorized, rec.Code, "%s %s", method, template)
			}
			rec := httptest.NewRecorder()
			none.ServeHTTP(rec, httptest.NewRequest(method, path, strings.NewReader("{}")))
			require.Equal(t, http.StatusNotFound, rec.Code, "%s %s", method, template)
			require.NotEqual(t, "application/json", rec.Header().Get("Content-Type"), "a client asks the next instance")
		}
	}
}

// TestRequestsOfTheReleaseBefore have no Content-Type.
func TestRequestsOfTheReleaseBefore(t *testing.T) {
	t.Parallel()
	h := resttest.Internal(t, everything().Handler())
	for path, body := range map[string]string{
		"sessions/used":   `["00000000-0000-0000-0000-000000000001"]`,
		"requests/search": `{"line":"01012345678","userId":"hong1234","state":"UNKNOWN","page":1,"size":20}`,
		"requests/00000000-0000-0000-0000-000000000001/cancel": "",
	} {
		req := httptest.NewRequest(http.MethodPost, internalapi.Base+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer s3cret")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		require.Less(t, rec.Code, http.StatusMultipleChoices, "%s: %s", path, rec.Body)
	}
}
