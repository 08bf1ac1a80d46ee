package product_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/id"
	"phonebill/core/product"
)

var evening = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// endedOrder returns an order as it ended two hours before dusk.
func endedOrder(s product.State) product.ReconciliationEntry {
	return product.ReconciliationEntry{
		Order: product.Order{
			ID: id.ID{1}, TransactionID: id.ID{2}, From: "LTE", To: "5G", State: s, EffectiveDate: calendar.DateOf(evening),
			Sends: 1, RequestedAt: evening.Add(-3 * time.Hour), ProcessedAt: evening.Add(-2 * time.Hour),
		},
		Delivery: product.DeliveryStatus{State: delivery.Delivered, Sequence: 2, Accepted: 1,
			AcceptedAt: evening.Add(-time.Hour)},
	}
}

// TestJudgeAnswer is the table of our states and KOS's answers, cell by cell: a kind, "" for agreement, "?" for no
// verdict.
func TestJudgeAnswer(t *testing.T) {
	t.Parallel()
	const none, done, failed = "?", string(product.OursDoneKOSNot), string(product.OursFailedKOSHas)
	answers := []product.AnswerKind{
		product.AnswerAccepted, product.AnswerRefused, product.AnswerAbsent, product.AnswerUnknown, product.AnswerNotSent,
		product.AnswerNoQuery, product.AnswerAmbiguous,
	}
	for state, row := range map[product.State][]string{
		product.Completed: {"", done, done, none, none, none, none},
		product.Failed:    {failed, "", "", none, none, none, none},
		product.Cancelled: {failed, "", "", none, none, none, none},
		product.Unknown:   {"", "", "", none, none, none, none},
	} {
		for i, kind := range answers {
			e := endedOrder(state)
			require.Equal(t, row[i], cell(e.JudgeAnswer(product.Answer{Kind: kind, Code: "E103"}, evening)), "%s %d", state,
				kind)
			e.Superseded = true
			want := row[i]
			if state == product.Completed && want != none {
				want = ""
			}
			require.Equal(t, want, cell(e.JudgeAnswer(product.Answer{Kind: kind}, evening)), "replaced %s %d", state, kind)
		}
	}
	e := endedOrder(product.Completed)
	d, _, _ := e.JudgeAnswer(product.Answer{Kind: product.AnswerRefused, Code: "E103"}, evening)
	require.Equal(t, product.Difference{
		RequestID: id.ID{1}, Kind: product.OursDoneKOSNot, Found: evening, Text: "we say COMPLETED, KOS refused it with E103",
	}, d)
}

func cell(d product.Difference, found, verdict bool) string {
	switch {
	case !verdict:
		return "?"
	case !found:
		return ""
	default:
		return string(d.Kind)
	}
}

func TestJudgePlans(t *testing.T) {
	t.Parallel()
	const differs, failed = string(product.KOSPlanDiffers), string(product.OursFailedKOSHas)
	scheduled := func(plan string, transaction byte) product.Customer {
		s := &product.Scheduled{PlanCode: plan, EffectiveDate: calendar.DateOf(evening)}
		if transaction != 0 {
			s.TransactionID = id.ID{transaction}
		}
		return product.Customer{PlanCode: "LTE", Scheduled: s}
	}
	for name, c := range map[string]struct {
		atKOS                       product.Customer
		completed, rejected, unsent string
		completedFollowed, replaced string
	}{
		"in force":             {product.Customer{PlanCode: "5G"}, "", "?", "", "", ""},
		"scheduled by us":      {scheduled("5G", 2), "", failed, failed, "", ""},
		"scheduled by another": {scheduled("5G", 9), differs, "?", "", "?", ""},
		"scheduled, unsigned":  {scheduled("5G", 0), "", "?", "", "", ""},
		"scheduled, no more": {product.Customer{PlanCode: "LTE", Scheduled: &product.Scheduled{PlanCode: "5G"}}, "?", "?",
			"", "?", ""},
		"another, no more": {product.Customer{PlanCode: "LTE", Scheduled: &product.Scheduled{PlanCode: "3G"}}, differs,
			"?", "", "?", ""},
		"another is scheduled": {scheduled("3G", 9), differs, "?", "", "?", ""},
		"as before":            {product.Customer{PlanCode: "LTE"}, differs, "?", "", "?", ""},
	} {
		e := endedOrder(product.Completed)
		require.Equal(t, c.completed, cell(e.JudgePlans(c.atKOS, evening)), name)
		e.HasLiveOrder = true
		require.Equal(t, c.completedFollowed, cell(e.JudgePlans(c.atKOS, evening)), name)
		e.Superseded = true
		require.Equal(t, c.replaced, cell(e.JudgePlans(c.atKOS, evening)), name)
		e = endedOrder(product.Failed)
		require.Equal(t, c.rejected, cell(e.JudgePlans(c.atKOS, evening)), name)
		e.Order.Sends = 0
		require.Equal(t, c.unsent, cell(e.JudgePlans(c.atKOS, evening)), name)
	}
	require.Empty(t, cell(endedOrder(product.Unknown).JudgePlans(product.Customer{}, evening)))

	d, found := endedOrder(product.Completed).JudgeNoLine(evening)
	require.True(t, found)
	require.Equal(t, product.KOSPlanDiffers, d.Kind)
	_, found = endedOrder(product.Failed).JudgeNoLine(evening)
	require.False(t, found)
}

func TestOpenTooLong(t *testing.T) {
	t.Parallel()
	for state, want := range map[product.State]bool{
		product.Requested: true, product.Validated: true, product.Dispatched: true, product.Unknown: true,
		product.Parked: true, product.Completed: false, product.Failed: false, product.Cancelled: false,
	} {
		o := product.Order{State: state, RequestedAt: evening.Add(-product.OpenBound)}
		_, found := o.OpenTooLong(evening)
		require.False(t, found, state)
		d, found := o.OpenTooLong(evening.Add(1))
		require.Equal(t, want, found, state)
		if want {
			require.Equal(t, product.OursOpenTooLong, d.Kind)
		}
	}
}

func TestJudgeDelivery(t *testing.T) {
	t.Parallel()
	const notDelivered, wrongly = product.NotDelivered, product.DeliveredWrongly
	at := func(hours int) time.Time { return evening.Add(time.Duration(-hours) * time.Hour) }
	before := func(state delivery.State, sequence int64, delivered time.Time) func(*product.ReconciliationEntry) {
		return func(e *product.ReconciliationEntry) {
			e.Previous = product.DeliveryStatus{State: state, Sequence: sequence, AcceptedAt: delivered}
		}
	}
	inState := func(state delivery.State) func(*product.ReconciliationEntry) {
		return func(e *product.ReconciliationEntry) { e.Delivery = product.DeliveryStatus{State: state} }
	}
	for name, c := range map[string]struct {
		make func(e *product.ReconciliationEntry)
		want []product.DifferenceKind
	}{
		"delivered":        {func(*product.ReconciliationEntry) {}, nil},
		"parked":           {inState(delivery.Parked), []product.DifferenceKind{notDelivered}},
		"never due":        {inState(delivery.None), []product.DifferenceKind{notDelivered}},
		"pending for long": {inState(delivery.Pending), []product.DifferenceKind{notDelivered}},
		"an unknown state": {func(e *product.ReconciliationEntry) { e.Delivery = product.DeliveryStatus{State: "?"} }, nil},
		"pending of late": {func(e *product.ReconciliationEntry) {
			e.Delivery.State, e.Order.ProcessedAt = delivery.Pending,
				at(1)
		}, nil},
		"replayed of late": {func(e *product.ReconciliationEntry) {
			e.Delivery.State, e.Delivery.ReplayedAt = delivery.Pending, at(1)
		}, nil},
		"replayed long ago": {func(e *product.ReconciliationEntry) { e.Delivery.ReplayedAt, e.Delivery.Accepted = at(1), 2 },
			nil},
		"twice": {func(e *product.ReconciliationEntry) { e.Delivery.Accepted = 2 },
			[]product.DifferenceKind{wrongly}},
		"a number twice": {func(e *product.ReconciliationEntry) { e.DuplicateSequence = true },
			[]product.DifferenceKind{wrongly}},
		"in order":       {before(delivery.Delivered, 1, at(1)), nil},
		"none is kept":   {before(delivery.Delivered, 0, at(1)), nil},
		"overtaken":      {before(delivery.Delivered, 1, at(0)), []product.DifferenceKind{wrongly}},
		"one is pending": {before(delivery.Pending, 1, time.Time{}), []product.DifferenceKind{wrongly}},
		"one is parked":  {before(delivery.Parked, 1, time.Time{}), nil},
		"one is replayed": {func(e *product.ReconciliationEntry) {
			before(delivery.Pending, 1, time.Time{})(e)
			e.Previous.ReplayedAt = at(0)
		}, nil},
		"both are pending": {func(e *product.ReconciliationEntry) {
			before(delivery.Pending, 1, time.Time{})(e)
			e.Delivery.State, e.Order.ProcessedAt = delivery.Pending, at(0)
		}, nil},
		"a number is missing": {func(e *product.ReconciliationEntry) {
			before(delivery.Delivered, 1, at(1))(e)
			e.Delivery.Sequence = 3
		}, []product.DifferenceKind{wrongly}},
		"parked and a gap": {func(e *product.ReconciliationEntry) {
			before(delivery.Delivered, 1, at(1))(e)
			e.Delivery = product.DeliveryStatus{State: delivery.Parked, Sequence: 4}
		}, []product.DifferenceKind{notDelivered, wrongly}},
	} {
		e := endedOrder(product.Completed)
		c.make(&e)
		var got []product.DifferenceKind
		for _, d := range e.JudgeDelivery(evening) {
			got = append(got, d.Kind)
			require.NotEmpty(t, d.Text)
		}
		require.Equal(t, c.want, got, name)
	}
	require.Len(t, product.DifferenceKinds(), 6)
}

func TestARunKnowsItsShare(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	run := product.ReconciliationRun{From: at, To: at.Add(10 * time.Hour)}
	require.Zero(t, run.Share(), "nothing is known yet")
	run.Reached.At = at.Add(4 * time.Hour)
	require.InDelta(t, 0.4, run.Share(), 1e-9)
	run.Reached.At = at.Add(11 * time.Hour)
	require.InDelta(t, 1, run.Share(), 1e-9)
	require.Zero(t, product.ReconciliationRun{Reached: run.Reached}.Share())
}
