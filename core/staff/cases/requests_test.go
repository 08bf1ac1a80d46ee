package cases_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/staff"
	"phonebill/core/staff/cases"
)

var (
	noon     = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	operator = trail.By{Name: "operator-kim", Roles: []auth.Role{auth.Operator}, IP: "203.0.113.7"}
	ownLine  = id.ID{15: 1}

	customer = trail.By{Name: "hong1234", Roles: []auth.Role{auth.Customer}}
)

// world is two services, the audit log, and a budget of searches.
type requestsWorld struct {
	cases.Requests
	inquiries, changes *service
	rows               []audit.Entry
	audit, budget      error
	spent              []string
}

type service struct {
	page  []staff.Request
	err   error
	asked []staff.Filter
	gone  []id.ID
	has   map[id.ID]error
}

func (s *service) List(_ context.Context, f staff.Filter) ([]staff.Request, int, error) {
	s.asked = append(s.asked, f)
	return s.page, len(s.page), s.err
}

func (s *service) Cancel(_ context.Context, request id.ID) error {
	err, known := s.has[request]
	switch {
	case !known:
		return fault.New(fault.ResourceNotFound)
	case err == nil:
		s.gone = append(s.gone, request)
	}
	return err
}

func (w *requestsWorld) Append(_ context.Context, e audit.Entry) error {
	w.rows = append(w.rows, e)
	return w.audit
}

func (w *requestsWorld) Spend(_ context.Context, person string, n line.Number) (string, error) {
	w.spent = append(w.spent, person)
	return "index of " + n.String(), w.budget
}

func newRequestsWorld() *requestsWorld {
	w := &requestsWorld{inquiries: &service{}, changes: &service{has: map[id.ID]error{}}}
	w.inquiries.has = map[id.ID]error{}
	w.Requests = cases.Requests{Inquiries: w.inquiries, Changes: w.changes, Searches: w, Log: trail.Log{
		Audit: w, Now: func() time.Time { return noon }, NewID: func() id.ID { return id.ID{} },
		Report: func(context.Context, error) {},
	}}
	return w
}

func number(t *testing.T) line.Number {
	t.Helper()
	n, err := line.Parse("01012345678")
	require.NoError(t, err)
	return n
}

func TestAListIsOfOneKindAndOnRecord(t *testing.T) {
	t.Parallel()
	w := newRequestsWorld()
	w.changes.page = []staff.Request{{ID: ownLine}}
	f := staff.Filter{Line: number(t), UserID: "hong1234", State: "UNKNOWN", Page: 1, Size: 20}
	page, total, err := w.List(t.Context(), operator, staff.Change, f)
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, w.changes.page, page)
	require.Equal(t, []staff.Filter{f}, w.changes.asked)
	require.Empty(t, w.inquiries.asked)
	require.Equal(t, []string{"operator-kim"}, w.spent, "a search for a line is counted")
	require.Equal(t, []audit.Entry{{
		At: noon, Actor: "operator-kim", Action: "REQUESTS_SEARCHED", Subject: "hong1234", Outcome: audit.Done,
		IP: "203.0.113.7",
		Detail: `{"kind":"CHANGE","line":"010-****-5678","lineIndex":"index of 010-****-5678",` +
			`"page":"1","size":"20","state":"UNKNOWN"}`,
	}}, w.rows)
	_, _, err = w.List(t.Context(), operator, staff.Inquiry, staff.Filter{State: "TIMEOUT", Page: 1, Size: 20})
	require.NoError(t, err)
	require.Len(t, w.spent, 1, "others are not")
	require.Len(t, w.inquiries.asked, 1)
}

func TestRefusedSearchesReachNoService(t *testing.T) {
	t.Parallel()
	limited := fault.New(fault.RateLimitExceeded)
	for name, c := range map[string]struct {
		by     trail.By
		kind   staff.Kind
		f      staff.Filter
		budget error
		want   fault.Code
	}{
		"a customer":            {customer, staff.Change, staff.Filter{}, nil, fault.PermissionDenied},
		"an unknown kind":       {operator, "BOGUS", staff.Filter{}, nil, fault.ValidationError},
		"an unknown state":      {operator, staff.Change, staff.Filter{State: "FOO"}, nil, fault.ValidationError},
		"a state of the others": {operator, staff.Inquiry, staff.Filter{State: "PARKED"}, nil, fault.ValidationError},
		"no search left":        {operator, staff.Change, staff.Filter{Line: number(t)}, limited, fault.RateLimitExceeded},
	} {
		w := newRequestsWorld()
		w.budget = c.budget
		_, _, err := w.List(t.Context(), c.by, c.kind, c.f)
		require.ErrorIs(t, err, fault.New(c.want), name)
		require.Empty(t, append(w.changes.asked, w.inquiries.asked...), name)
		require.Equal(t, audit.Outcome(c.want), w.rows[0].Outcome, name)
	}
	w := newRequestsWorld()
	w.audit = errors.New("away")
	page, _, err := w.List(t.Context(), operator, staff.Change, staff.Filter{})
	require.Error(t, err, "without its row nothing is shown")
	require.Nil(t, page)
}

func TestATraceIsSearchedInBothServices(t *testing.T) {
	t.Parallel()
	w := newRequestsWorld()
	w.changes.page = []staff.Request{{ID: id.ID{1}, RequestedAt: noon}}
	w.inquiries.page = []staff.Request{{ID: id.ID{2}, RequestedAt: noon.Add(time.Second)}}
	found, err := w.Find(t.Context(), operator, "4bf92f3577b34da6a3ce929d0e0e4736")
	require.NoError(t, err)
	require.Equal(t, []staff.Request{w.inquiries.page[0], w.changes.page[0]}, found, "the newest first")
	require.Equal(t, `{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}`, w.rows[0].Detail)
	w.inquiries.err = fault.New(fault.ServiceUnavailable)
	_, err = w.Find(t.Context(), operator, "4bf92f3577b34da6a3ce929d0e0e4736")
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), "it may be theirs")
	_, err = w.Find(t.Context(), trail.By{Name: "hong1234"}, "4bf92f3577b34da6a3ce929d0e0e4736")
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	for _, bad := range []string{"", "x", "4bf92f3577b34da6a3ce929d0e0e473", "4bf92f3577b34da6a3ce929d0e0e47366"} {
		_, err := staff.ParseTraceID(bad)
		require.ErrorIs(t, err, fault.New(fault.ValidationError), bad)
	}
	parsed, err := staff.ParseTraceID(" 4BF92F3577B34DA6A3CE929D0E0E4736 ")
	require.NoError(t, err)
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", parsed)
}

func TestARequestIsTakenBackWhereItsCustomerCould(t *testing.T) {
	t.Parallel()
	sent, bill := id.ID{15: 2}, id.ID{15: 3}
	w := newRequestsWorld()
	w.changes.has[ownLine], w.changes.has[sent], w.inquiries.has[bill] = nil, fault.New(fault.StateConflict),
		fault.New(fault.StateConflict)
	require.NoError(t, w.Cancel(t.Context(), operator, ownLine, "고객 요청"))
	require.Equal(t, []id.ID{ownLine}, w.changes.gone)
	require.Equal(t, []audit.Outcome{audit.Intended, audit.Done}, []audit.Outcome{w.rows[0].Outcome, w.rows[1].Outcome})
	require.Equal(t, "REQUEST_CANCELLED", w.rows[1].Action)
	require.Equal(t, ownLine.String(), w.rows[1].Subject)
	require.ErrorIs(t, w.Cancel(t.Context(), operator, sent, "고객 요청"), fault.New(fault.StateConflict))
	require.ErrorIs(t, w.Cancel(t.Context(), operator, bill, "고객 요청"), fault.New(fault.StateConflict))
	require.ErrorIs(t, w.Cancel(t.Context(), operator, id.ID{9}, "고객 요청"), fault.New(fault.ResourceNotFound))
	require.ErrorIs(t, w.Cancel(t.Context(), operator, ownLine, "가"), fault.New(fault.ValidationError))
	require.ErrorIs(t, w.Cancel(t.Context(), trail.By{Name: "hong1234"}, ownLine, "고객 요청"),
		fault.New(fault.PermissionDenied))
	w.audit = errors.New("away")
	require.Error(t, w.Cancel(t.Context(), operator, ownLine, "고객 요청"))
	require.Len(t, w.changes.gone, 1, "without the first row nothing is done")
}
