package internalapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/id"
)

type use struct {
	reported []id.ID
	err      error
}

func (u *use) Used(_ context.Context, sids []id.ID) error {
	u.reported = sids
	return u.err
}

func TestUseHandler(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body     string
		err      error
		status   int
		reported []id.ID
	}{
		"reported":   {`["00000000-0000-0000-0000-000000000001"]`, nil, http.StatusNoContent, []id.ID{{15: 1}}},
		"not a list": {`{}`, nil, http.StatusBadRequest, nil},
		"not an id":  {`["1"]`, nil, http.StatusBadRequest, nil},
		"not possible": {
			`["00000000-0000-0000-0000-000000000001"]`, errors.New("down"), http.StatusServiceUnavailable, []id.ID{{15: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := &use{err: c.err}
			rec := httptest.NewRecorder()
			req := httptest.NewRequest(http.MethodPost, internalapi.Base+"sessions/used", strings.NewReader(c.body))
			h := &internalapi.Handlers{SessionUse: u, Log: slog.New(slog.DiscardHandler)}
			resttest.Internal(t, h.Handler()).ServeHTTP(rec, req)
			require.Equal(t, c.status, rec.Code)
			require.Equal(t, c.reported, u.reported)
		})
	}
}
