package cases_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/audit"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/request"
	"phonebill/core/staff/cases"
)

type deliveryLog struct {
	entries []audit.Entry
	errs    []error // of the next appends
}

func (l *deliveryLog) Append(_ context.Context, e audit.Entry) error {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		if err != nil {
			return err
		}
	}
	l.entries = append(l.entries, e)
	return nil
}

func (l *deliveryLog) outcomes() (out []audit.Outcome) {
	for _, e := range l.entries {
		out = append(out, e.Outcome)
	}
	return out
}

type deliveriesWorld struct {
	cases.Deliveries
	log      deliveryLog
	reported []error
	order    id.ID
}

// newDeliveriesWorld has one order, delivered.
func newDeliveriesWorld(t *testing.T) *deliveriesWorld {
	t.Helper()
	w := &deliveriesWorld{order: id.ID{15: 1}}
	orders, inquiries := &memory.Orders{}, &memory.Inquiries{}
	number, err := line.Parse("01012345678")
	require.NoError(t, err)
	o := product.Order{ID: w.order, Line: number, State: product.Requested, EffectiveDate: calendar.DateOf(noon)}
	require.NoError(t, orders.Add(t.Context(), o, request.KeyUse{}))
	o.State, o.ProcessedAt = product.Completed, noon
	_, err = orders.Save(t.Context(), o, o.ProcessedAt)
	require.NoError(t, err)
	claimed, err := orders.Outbox().Claim(t.Context(), noon, time.Minute, 1, 1)
	require.NoError(t, err)
	require.NoError(t, orders.Outbox().Settle(t.Context(), noon, delivery.AttemptResult{
		ID: w.order, Fence: claimed[0][0].Fence, State: delivery.Delivered,
	}))
	w.Deliveries = cases.Deliveries{
		Bills: inquiries.Outbox(), Changes: orders.Outbox(), Audit: &w.log, Now: func() time.Time { return noon },
		NewID: func() id.ID { return id.ID{15: 9} },
		Report: func(_ context.Context, err error) {
			w.reported = append(w.reported, err)
		},
	}
	return w
}

func TestStaffSeeBothKinds(t *testing.T) {
	t.Parallel()
	w := newDeliveriesWorld(t)
	for kind, want := range map[delivery.Kind]int{delivery.BillResult: 0, delivery.ChangeResult: 1} {
		page, total, err := w.List(t.Context(), operator, kind, delivery.Filter{Page: 1, Size: 9})
		require.NoError(t, err)
		require.Len(t, page, want)
		require.Equal(t, want, total)
	}
	_, _, err := w.List(t.Context(), trail.By{Roles: []auth.Role{auth.Customer}}, delivery.BillResult,
		delivery.Filter{Page: 1, Size: 9})
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
}

func TestAReplayIsOnRecord(t *testing.T) {
	t.Parallel()
	w := newDeliveriesWorld(t)
	require.NoError(t, w.Replay(t.Context(), operator, w.order, "the receiver is well again"))
	row := audit.Entry{
		At: noon, Actor: "operator-kim", Action: "DELIVERY_REPLAYED", Subject: w.order.String(),
		Reason:  "the receiver is well again",
		Outcome: audit.Intended, Detail: `{"call":"00000000-0000-0000-0000-000000000009"}`, IP: "203.0.113.7",
	}
	done := row
	done.Outcome = audit.Done
	require.Equal(t, []audit.Entry{row, done}, w.log.entries)
	page, _, err := w.List(t.Context(), operator, delivery.ChangeResult,
		delivery.Filter{State: delivery.Pending, Page: 1, Size: 9})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.EqualValues(t, 1, page[0].Sequence)
}

func TestRefusalsAreAuditedToo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		by      trail.By
		event   id.ID
		reason  string
		code    fault.Code
		intends bool
	}{
		"a customer": {trail.By{Name: "x", Roles: []auth.Role{auth.Customer}}, id.ID{15: 1}, "because",
			fault.PermissionDenied, false},
		"no reason": {operator, id.ID{15: 1}, "", fault.ValidationError, false},
		"no event":  {operator, id.ID{15: 2}, "because", fault.ResourceNotFound, true},
	} {
		w := newDeliveriesWorld(t)
		require.ErrorIs(t, w.Replay(t.Context(), c.by, c.event, c.reason), fault.New(c.code), name)
		want := []audit.Outcome{audit.Outcome(c.code)}
		if c.intends {
			want = append([]audit.Outcome{audit.Intended}, want...)
		}
		require.Equal(t, want, w.log.outcomes(), name)
	}
	w := newDeliveriesWorld(t)
	require.NoError(t, w.Replay(t.Context(), operator, w.order, "because"))
	require.ErrorIs(t, w.Replay(t.Context(), operator, w.order, "because"), fault.New(fault.StateConflict))
}

func TestNothingIsReturnedWithoutARecord(t *testing.T) {
	t.Parallel()
	away := errors.New("away")
	w := newDeliveriesWorld(t)
	w.log.errs = []error{away}
	require.ErrorIs(t, w.Replay(t.Context(), operator, w.order, "because"), away)
	page, _, err := w.List(t.Context(), operator, delivery.ChangeResult,
		delivery.Filter{State: delivery.Pending, Page: 1, Size: 9})
	require.NoError(t, err)
	require.Empty(t, page)
	w.log.errs = []error{nil, away}
	require.NoError(t, w.Replay(t.Context(), operator, w.order, "because"), "the intent is on record")
	require.Equal(t, []error{away}, w.reported)
}
