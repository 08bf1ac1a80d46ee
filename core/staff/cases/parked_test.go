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
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/core/product/change"
	"phonebill/core/request"
	"phonebill/core/staff/cases"
)

const why = "KOS 화면에서 확인"

var (
	kim = trail.By{Name: "operator-kim", Roles: []auth.Role{auth.Operator}, IP: "203.0.113.7"}
	lee = trail.By{Name: "admin-lee", Roles: []auth.Role{auth.Admin}}
)

type parkedLog struct{ rows []audit.Entry }

func (l *parkedLog) Append(_ context.Context, e audit.Entry) error {
	l.rows = append(l.rows, e)
	return nil
}

// epochs fail as long as err is set.
type epochs struct {
	memory.Epochs
	err error
}

func (e *epochs) Raise(ctx context.Context, n line.Number, at time.Time) error {
	if e.err != nil {
		return e.err
	}
	return e.Epochs.Raise(ctx, n, at)
}

type parkedWorld struct {
	cases.ParkedChanges
	orders memory.Orders
	epochs epochs
	log    parkedLog
	now    time.Time
	order  product.Order
}

// newParkedWorld has one order, parked.
func newParkedWorld(t *testing.T) *parkedWorld {
	t.Helper()
	w := &parkedWorld{now: noon}
	number, err := line.Parse("01012345678")
	require.NoError(t, err)
	w.order = product.Order{ID: id.ID{15: 1}, Line: number, State: product.Requested,
		RequestedAt: noon.Add(-25 * time.Hour)}
	require.NoError(t, w.orders.Add(t.Context(), w.order, request.KeyUse{}))
	w.order.State = product.Parked
	w.order, err = w.orders.Save(t.Context(), w.order, noon)
	require.NoError(t, err)
	clock := func() time.Time { return w.now }
	w.ParkedChanges = cases.ParkedChanges{
		Changes: &change.ParkedOrders{Orders: w.orders.Parked(), Epochs: &w.epochs, Now: clock},
		Log: trail.Log{
			Audit: &w.log, Now: clock, NewID: func() id.ID { return id.ID{15: 9} }, Report: func(context.Context, error) {},
		},
	}
	return w
}

func (w *parkedWorld) state(t *testing.T) product.State {
	t.Helper()
	o, err := w.orders.Get(t.Context(), w.order.ID)
	require.NoError(t, err)
	return o.State
}

func TestTwoPersonsEndAnOrder(t *testing.T) {
	t.Parallel()
	w := newParkedWorld(t)
	decision := cases.Decision{Order: w.order.ID, Outcome: "COMPLETED", Reason: " " + why + " "}
	verdict, err := w.Resolve(t.Context(), kim, decision)
	require.NoError(t, err)
	require.Equal(t, "PROPOSED", verdict.String())
	require.Equal(t, product.Parked, w.state(t))
	page, total, err := w.List(t.Context(), kim, 1, 20)
	require.NoError(t, err)
	require.Equal(t, 1, total)
	require.Equal(t, product.Resolution{Outcome: product.OutcomeCompleted, Reason: why, By: "operator-kim", At: noon},
		page[0].Proposal)
	at, err := w.epochs.Of(t.Context(), w.order.Line)
	require.NoError(t, err)
	require.Zero(t, at, "a proposal drops no copy")

	w.now = noon.Add(time.Hour)
	verdict, err = w.Resolve(t.Context(), lee, decision)
	require.NoError(t, err)
	require.Equal(t, "RESOLVED", verdict.String())
	require.Equal(t, product.Completed, w.state(t))
	at, err = w.epochs.Of(t.Context(), w.order.Line)
	require.NoError(t, err)
	require.Equal(t, w.now.Add(freshness.Skew), at)
	_, err = w.Resolve(t.Context(), lee, decision)
	require.ErrorIs(t, err, fault.New(fault.StateConflict))

	require.Len(t, w.log.rows, 6)
	require.Equal(t, audit.Entry{
		At: noon, Actor: "operator-kim", Action: "CHANGE_RESOLUTION", Subject: w.order.ID.String(), Reason: why,
		Outcome: audit.Done,
		Detail:  `{"call":"00000000-0000-0000-0000-000000000009","outcome":"COMPLETED","result":"PROPOSED"}`,
		IP:      "203.0.113.7",
	}, w.log.rows[1])
	require.Equal(t, "admin-lee", w.log.rows[3].Actor)
	require.Contains(t, w.log.rows[3].Detail, `"result":"RESOLVED"`)
	require.Equal(t, audit.Outcome(fault.StateConflict), w.log.rows[5].Outcome)
}

func TestRefusedDecisions(t *testing.T) {
	t.Parallel()
	stranger := trail.By{Name: "x", Roles: []auth.Role{auth.Customer}}
	for name, c := range map[string]struct {
		by       trail.By
		decision cases.Decision
		code     fault.Code
		rows     int
	}{
		"a customer":    {stranger, cases.Decision{id.ID{15: 1}, "FAILED", why}, fault.PermissionDenied, 1},
		"no reason":     {kim, cases.Decision{id.ID{15: 1}, "FAILED", "    "}, fault.ValidationError, 1},
		"no outcome":    {kim, cases.Decision{id.ID{15: 1}, "", why}, fault.ValidationError, 1},
		"no such order": {kim, cases.Decision{id.ID{15: 2}, "FAILED", why}, fault.ResourceNotFound, 2},
	} {
		w := newParkedWorld(t)
		_, err := w.Resolve(t.Context(), c.by, c.decision)
		require.ErrorIs(t, err, fault.New(c.code), name)
		require.Len(t, w.log.rows, c.rows, name)
		require.Equal(t, audit.Outcome(c.code), w.log.rows[c.rows-1].Outcome, name)
	}
	_, _, err := newParkedWorld(t).List(t.Context(), stranger, 1, 20)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
}

func TestAnOrderIsNotDoneWhileOldCopiesAreShown(t *testing.T) {
	t.Parallel()
	w := newParkedWorld(t)
	decision := cases.Decision{Order: w.order.ID, Outcome: "COMPLETED", Reason: why}
	_, err := w.Resolve(t.Context(), kim, decision)
	require.NoError(t, err)
	w.epochs.err = errors.New("away")
	_, err = w.Resolve(t.Context(), lee, decision)
	require.ErrorIs(t, err, w.epochs.err)
	require.Equal(t, product.Parked, w.state(t))
	w.epochs.err = nil
	_, err = w.Resolve(t.Context(), lee, decision)
	require.NoError(t, err)
	require.Equal(t, product.Completed, w.state(t))
}

func TestAParkedOrderAlarms(t *testing.T) {
	t.Parallel()
	alerts := &memory.Alerts{}
	change.AlertParked(alerts)(t.Context(), product.Order{ID: id.ID{15: 1}})
	require.Len(t, alerts.Raised(), 1)
	require.Equal(t, operations.ChangeParked, alerts.Raised()[0].Kind)
	require.Equal(t, id.ID{15: 1}.String(), alerts.Raised()[0].Subject)
}
