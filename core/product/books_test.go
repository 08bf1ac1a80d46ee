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

var dusk = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// booked is an order as it ended two hours before dusk.
func booked(s product.State) product.Entry {
	return product.Entry{
		Order: product.Order{
			ID: id.ID{1}, TransactionID: id.ID{2}, From: "LTE", To: "5G", State: s, EffectiveDate: calendar.DateOf(dusk), Sends: 1,
			RequestedAt: dusk.Add(-3 * time.Hour), ProcessedAt: dusk.Add(-2 * time.Hour),
		},
		Told: product.Telling{State: delivery.Delivered, Sequence: 2, Times: 1, At: dusk.Add(-time.Hour)},
	}
}

// TestBooksWithKOS is the table of our states and KOS's answers, cell by cell: a kind, "" for agreement, "?" for no verdict.
func TestBooksWithKOS(t *testing.T) {
	t.Parallel()
	const none, done, failed = "?", string(product.OursDoneKOSNot), string(product.OursFailedKOSHas)
	answers := []product.AnswerKind{
		product.AnswerAccepted, product.AnswerRefused, product.AnswerAbsent, product.AnswerUnknown, product.AnswerNotSent,
		product.AnswerNoQuery, product.AnswerAmbiguous,
	}
	for state, row := range map[product.State][]string{
		product.Completed: {"", done, done, none, none, none, none},
		product.Rejected:  {failed, "", "", none, none, none, none},
		product.Cancelled: {failed, "", "", none, none, none, none},
		product.Unknown:   {"", "", "", none, none, none, none},
	} {
		for i, kind := range answers {
			e := booked(state)
			require.Equal(t, row[i], cell(e.JudgeAnswer(product.Answer{Kind: kind, Code: "E103"}, dusk)), "%s %d", state, kind)
			e.Replaced = true
			want := row[i]
			if state == product.Completed && want != none {
				want = ""
			}
			require.Equal(t, want, cell(e.JudgeAnswer(product.Answer{Kind: kind}, dusk)), "replaced %s %d", state, kind)
		}
	}
	e := booked(product.Completed)
	d, _, _ := e.JudgeAnswer(product.Answer{Kind: product.AnswerRefused, Code: "E103"}, dusk)
	require.Equal(t, product.Difference{
		RequestID: id.ID{1}, Kind: product.OursDoneKOSNot, Found: dusk, Text: "we say COMPLETED, KOS refused it with E103",
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

func TestBooksWithTheLinesPlans(t *testing.T) {
	t.Parallel()
	const differs, failed = string(product.KOSPlanDiffers), string(product.OursFailedKOSHas)
	scheduled := func(plan string, transaction byte) product.Customer {
		s := &product.Scheduled{PlanCode: plan, EffectiveDate: calendar.DateOf(dusk)}
		if transaction != 0 {
			s.TransactionID = id.ID{transaction}
		}
		return product.Customer{PlanCode: "LTE", Scheduled: s}
	}
	for name, c := range map[string]struct {
		seen                        product.Customer
		completed, rejected, unsent string
		completedFollowed, replaced string
	}{
		"in force":              {product.Customer{PlanCode: "5G"}, "", "?", "", "", ""},
		"scheduled by us":       {scheduled("5G", 2), "", failed, failed, "", ""},
		"scheduled by somebody": {scheduled("5G", 9), differs, "?", "", "?", ""},
		"scheduled, unsigned":   {scheduled("5G", 0), "", "?", "", "", ""},
		"scheduled, no more":    {product.Customer{PlanCode: "LTE", Scheduled: &product.Scheduled{PlanCode: "5G"}}, "?", "?", "", "?", ""},
		"another, no more":      {product.Customer{PlanCode: "LTE", Scheduled: &product.Scheduled{PlanCode: "3G"}}, differs, "?", "", "?", ""},
		"another is scheduled":  {scheduled("3G", 9), differs, "?", "", "?", ""},
		"as before":             {product.Customer{PlanCode: "LTE"}, differs, "?", "", "?", ""},
	} {
		e := booked(product.Completed)
		require.Equal(t, c.completed, cell(e.JudgePlans(c.seen, dusk)), name)
		e.Followed = true
		require.Equal(t, c.completedFollowed, cell(e.JudgePlans(c.seen, dusk)), name)
		e.Replaced = true
		require.Equal(t, c.replaced, cell(e.JudgePlans(c.seen, dusk)), name)
		e = booked(product.Rejected)
		require.Equal(t, c.rejected, cell(e.JudgePlans(c.seen, dusk)), name)
		e.Order.Sends = 0
		require.Equal(t, c.unsent, cell(e.JudgePlans(c.seen, dusk)), name)
	}
	require.Empty(t, cell(booked(product.Unknown).JudgePlans(product.Customer{}, dusk)))

	d, found := booked(product.Completed).JudgeNoLine(dusk)
	require.True(t, found)
	require.Equal(t, product.KOSPlanDiffers, d.Kind)
	_, found = booked(product.Rejected).JudgeNoLine(dusk)
	require.False(t, found)
}

func TestOpenTooLong(t *testing.T) {
	t.Parallel()
	for state, want := range map[product.State]bool{
		product.Requested: true, product.Validated: true, product.Dispatched: true, product.Unknown: true, product.Parked: true,
		product.Completed: false, product.Rejected: false, product.Cancelled: false,
	} {
		o := product.Order{State: state, RequestedAt: dusk.Add(-product.OpenBound)}
		_, found := o.OpenTooLong(dusk)
		require.False(t, found, state)
		d, found := o.OpenTooLong(dusk.Add(1))
		require.Equal(t, want, found, state)
		if want {
			require.Equal(t, product.OursOpenTooLong, d.Kind)
		}
	}
}

func TestBooksWithDeliveries(t *testing.T) {
	t.Parallel()
	const untold, wrongly = product.NotTold, product.ToldWrongly
	at := func(hours int) time.Time { return dusk.Add(time.Duration(-hours) * time.Hour) }
	before := func(state delivery.State, sequence int64, told time.Time) func(*product.Entry) {
		return func(e *product.Entry) { e.Before = product.Telling{State: state, Sequence: sequence, At: told} }
	}
	for name, c := range map[string]struct {
		make func(e *product.Entry)
		want []product.DifferenceKind
	}{
		"told":              {func(*product.Entry) {}, nil},
		"parked":            {func(e *product.Entry) { e.Told = product.Telling{State: delivery.Parked} }, []product.DifferenceKind{untold}},
		"never due":         {func(e *product.Entry) { e.Told = product.Telling{State: delivery.None} }, []product.DifferenceKind{untold}},
		"pending for long":  {func(e *product.Entry) { e.Told = product.Telling{State: delivery.Pending} }, []product.DifferenceKind{untold}},
		"an unknown state":  {func(e *product.Entry) { e.Told = product.Telling{State: "?"} }, nil},
		"pending of late":   {func(e *product.Entry) { e.Told.State, e.Order.ProcessedAt = delivery.Pending, at(1) }, nil},
		"replayed of late":  {func(e *product.Entry) { e.Told.State, e.Told.Replayed = delivery.Pending, at(1) }, nil},
		"replayed long ago": {func(e *product.Entry) { e.Told.Replayed, e.Told.Times = at(1), 2 }, nil},
		"twice":             {func(e *product.Entry) { e.Told.Times = 2 }, []product.DifferenceKind{wrongly}},
		"a number twice":    {func(e *product.Entry) { e.Twin = true }, []product.DifferenceKind{wrongly}},
		"in order":          {before(delivery.Delivered, 1, at(1)), nil},
		"none is kept":      {before(delivery.Delivered, 0, at(1)), nil},
		"overtaken":         {before(delivery.Delivered, 1, at(0)), []product.DifferenceKind{wrongly}},
		"one is pending":    {before(delivery.Pending, 1, time.Time{}), []product.DifferenceKind{wrongly}},
		"one is parked":     {before(delivery.Parked, 1, time.Time{}), nil},
		"one is told again": {func(e *product.Entry) { before(delivery.Pending, 1, time.Time{})(e); e.Before.Replayed = at(0) }, nil},
		"both are pending": {func(e *product.Entry) {
			before(delivery.Pending, 1, time.Time{})(e)
			e.Told.State, e.Order.ProcessedAt = delivery.Pending, at(0)
		}, nil},
		"a number is missing": {func(e *product.Entry) {
			before(delivery.Delivered, 1, at(1))(e)
			e.Told.Sequence = 3
		}, []product.DifferenceKind{wrongly}},
		"parked and a gap": {func(e *product.Entry) {
			before(delivery.Delivered, 1, at(1))(e)
			e.Told = product.Telling{State: delivery.Parked, Sequence: 4}
		}, []product.DifferenceKind{untold, wrongly}},
	} {
		e := booked(product.Completed)
		c.make(&e)
		var got []product.DifferenceKind
		for _, d := range e.JudgeTelling(dusk) {
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
	run := product.BookRun{From: at, To: at.Add(10 * time.Hour)}
	require.Zero(t, run.Share(), "nothing is known yet")
	run.Reached.At = at.Add(4 * time.Hour)
	require.InDelta(t, 0.4, run.Share(), 1e-9)
	run.Reached.At = at.Add(11 * time.Hour)
	require.InDelta(t, 1, run.Share(), 1e-9)
	require.Zero(t, product.BookRun{Reached: run.Reached}.Share())
}
