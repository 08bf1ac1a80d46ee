package change

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/product"
)

// TestWhatAStepTells goes through what can come of an order by the rules of product.Order, not by made-up pairs of states.
func TestWhatAStepTells(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 15, 1, 30, 0, 0, time.UTC)
	answered := func(o product.Order, kind product.AnswerKind) product.Order {
		o, err := o.ApplyAnswer(product.Answer{Kind: kind}, now)
		require.NoError(t, err)
		return o
	}
	sent := func(o product.Order, kind product.AnswerKind) product.Order {
		o, err := o.Send()
		require.NoError(t, err)
		return answered(o, kind)
	}
	fresh := product.Order{ID: id.ID{1}, State: product.Validated, RequestedAt: now, EffectiveDate: calendar.DateOf(now)}
	unknown := sent(fresh, product.AnswerUnknown)
	absent := answered(unknown, product.AnswerAbsent)
	cut := fresh
	cut.State, cut.Sends = product.Dispatched, 1
	for name, c := range map[string]struct {
		step step
		want telling
	}{
		"the first attempt hung":            {step{fresh, unknown}, nothing},
		"a later attempt hung":              {step{absent, sent(absent, product.AnswerUnknown)}, nothing},
		"an attempt was taken":              {step{absent, sent(absent, product.AnswerAccepted)}, something},
		"an attempt was refused":            {step{fresh, sent(fresh, product.AnswerRefused)}, something},
		"an attempt did not leave":          {step{absent, sent(absent, product.AnswerNotSent)}, kept},
		"a question hung":                   {step{unknown, answered(unknown, product.AnswerUnknown)}, nothing},
		"a question did not leave":          {step{unknown, answered(unknown, product.AnswerNotSent)}, kept},
		"it does not know the transaction":  {step{unknown, absent}, something},
		"cut off while it was being sent":   {step{cut, answered(cut, product.AnswerUnknown)}, unasked},
		"the line's plans are ambiguous":    {step{unknown, answered(unknown, product.AnswerAmbiguous)}, unasked},
		"a check that could not be made":    {step{fresh, fresh.WaitForKOS(time.Second, now)}, kept},
		"a question that told it was taken": {step{unknown, answered(unknown, product.AnswerAccepted)}, something},
	} {
		require.Equal(t, c.want, c.step.told(), name)
	}
}
