package internalclient_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/rest/internalapi"
	"phonebill/adapters/rest/resttest"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

type auditLog struct {
	entries []audit.Entry
	err     error
}

func (l *auditLog) Append(_ context.Context, e audit.Entry) error {
	l.entries = append(l.entries, e)
	return l.err
}

func staffOnly(_ context.Context, user auth.UserID) (auth.User, error) {
	switch user {
	case "operator-kim":
		return auth.User{UserID: user, Roles: []auth.Role{auth.Operator}}, nil
	case "hong1234":
		return auth.User{UserID: user, Roles: []auth.Role{auth.Customer}}, nil
	case "away1234":
		return auth.User{}, errors.New("away")
	}
	return auth.User{}, fault.New(fault.UserNotFound)
}

// house is an auth service's internal API, and whether a gateway of the release before may still run.
func house(t *testing.T, kept *auditLog, older *bool) *httptest.Server {
	t.Helper()
	h := &internalapi.Handlers{
		Token: personal.NewSecret("s3cret"), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
		Audit: &internalapi.AuditTrail{
			Log: kept, Accounts: staffOnly, Gateway: personal.NewSecret("gateways own"),
			AcceptsUncredentialed: func() bool { return *older },
		},
	}
	srv := httptest.NewServer(resttest.Internal(t, h.Handler()))
	t.Cleanup(srv.Close)
	return srv
}

var noon = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func entryOf(actor, action string) audit.Entry {
	return audit.Entry{
		At: noon, Actor: actor, Action: action, Subject: "x", Reason: "because", Outcome: audit.Intended,
		Detail: `{"call":"1"}`, IP: "203.0.113.7",
	}
}

// TestWhatStaffDidElsewhereIsInTheAuditLog: the entry travels whole but for its time, which is the auth service's, and
// names who sent it.
func TestWhatStaffDidElsewhereIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	kept, older := &auditLog{}, false
	srv := house(t, kept, &older)
	l := internalclient.NewAuth(nil, nil, []string{srv.URL}, personal.NewSecret("s3cret")).WithAuditCredential(
		personal.NewSecret("gateways own"),
	)
	e := entryOf("operator-kim", "DELIVERY_REPLAYED")
	sent := e
	sent.At = noon.Add(time.Hour)
	require.NoError(t, l.Append(t.Context(), sent))
	e.Detail = `{"call":"1","service":"gateway"}`
	require.Equal(t, []audit.Entry{e}, kept.entries)

	unavailable := fault.New(fault.ServiceUnavailable)
	bad := e
	bad.Actor = ""
	require.ErrorIs(t, l.Append(t.Context(), bad), unavailable)
	for _, detail := range []string{"{", "1", "null", "[]", `"` + strings.Repeat("x", 20<<10) + `"`} {
		bad = e
		bad.Detail = detail
		require.ErrorIs(t, l.Append(t.Context(), bad), unavailable)
	}
	require.ErrorIs(
		t, internalclient.NewAuth(nil, nil, []string{srv.URL}, personal.NewSecret("another")).Append(t.Context(), e),
		unavailable,
	)
	require.Len(t, kept.entries, 1)
	kept.err = errors.New("away")
	require.ErrorIs(t, l.Append(t.Context(), e), unavailable)
}

// TestTheTokenThatAllServicesHaveWritesNoAuditRow: each service has a credential of its own, for its own actions, about
// staff.
func TestTheTokenThatAllServicesHaveWritesNoAuditRow(t *testing.T) {
	t.Parallel()
	kept, older := &auditLog{}, false
	srv := house(t, kept, &older)
	all := internalclient.NewAuth(nil, []string{srv.URL}, []string{srv.URL}, personal.NewSecret("s3cret"))
	gateway := all.WithAuditCredential(personal.NewSecret("gateways own"))
	require.Error(t, all.Append(t.Context(), entryOf("operator-kim", "DELIVERY_REPLAYED")), "INTERNAL_TOKEN alone")
	require.Error(t, all.WithAuditCredential(personal.NewSecret("s3cret")).Append(
		t.Context(), entryOf("operator-kim", "DELIVERY_REPLAYED"),
	))
	for _, action := range []string{
		"USER_CREATED", "GRANT_GIVEN", "KEYS_REPLACED", "USERS_IMPORTED", "VALUES_RESEALED", "delivery_replayed",
	} {
		require.Error(t, gateway.Append(t.Context(), entryOf("operator-kim", action)), action)
	}
	for _, actor := range []string{"hong1234", "nobody12", "cli:root", "away1234"} {
		require.Error(t, gateway.Append(t.Context(), entryOf(actor, "TIMELINE_SHOWN")), actor)
	}
	require.Empty(t, kept.entries)
	refused := entryOf("hong1234", "CHANGE_RESOLUTION")
	refused.Outcome = audit.Outcome(fault.PermissionDenied)
	require.NoError(t, gateway.Append(t.Context(), refused), "that somebody was refused is on record")
	for _, action := range []string{"DELIVERY_REPLAYED", "TIMELINE_SHOWN", "CHANGE_RESOLUTION"} {
		require.NoError(t, gateway.Append(t.Context(), entryOf("operator-kim", action)), action)
	}

	older = true // a gateway of the release before sends no credential: what a gateway may, and no more
	require.NoError(t, all.Append(t.Context(), entryOf("operator-kim", "DELIVERY_REPLAYED")))
	require.Error(t, all.Append(t.Context(), entryOf("operator-kim", "USER_CREATED")))
	require.Error(t, all.Append(t.Context(), entryOf("hong1234", "DELIVERY_REPLAYED")))
	require.Error(t, all.WithAuditCredential(personal.NewSecret("wrong")).Append(
		t.Context(), entryOf("operator-kim", "DELIVERY_REPLAYED"),
	))
}

// TestTheCredentialGoesToTheAuditLogAlone.
func TestTheCredentialGoesToTheAuditLogAlone(t *testing.T) {
	t.Parallel()
	var with []string
	l := link(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Audit-Credential") != "" {
			with = append(with, r.URL.Path)
		}
		w.WriteHeader(http.StatusNoContent)
	}).WithAuditCredential(personal.NewSecret("gateways own"))
	_, _ = l.Keys(t.Context())
	_, _ = l.Since(t.Context(), noon)
	_ = l.Used(t.Context(), nil)
	require.NoError(t, l.Append(t.Context(), entryOf("operator-kim", "TIMELINE_SHOWN")))
	require.Equal(t, []string{internalapi.Base + "audit"}, with)
}
