package change

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/product"
)

// TestWhetherKOSAnswersInAStep goes through what can come of an order by the rules of product.Order, not by made-up
// pairs of states.
func TestWhetherKOSAnswersInAStep(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 15, 1, 30, 0, 0, time.UTC)
	answeredBy := func(o product.Order, kind product.AnswerKind) product.Order {
		o, err := o.ApplyAnswer(product.Answer{Kind: kind}, now)
		require.NoError(t, err)
		return o
	}
	sent := func(o product.Order, kind product.AnswerKind) product.Order {
		o, err := o.Send()
		require.NoError(t, err)
		return answeredBy(o, kind)
	}
	fresh := product.Order{ID: id.ID{1}, State: product.Validated, RequestedAt: now, EffectiveDate: calendar.DateOf(now)}
	unknown := sent(fresh, product.AnswerUnknown)
	absent := answeredBy(unknown, product.AnswerAbsent)
	cut := fresh
	cut.State, cut.Sends = product.Dispatched, 1
	for name, c := range map[string]struct {
		step step
		want contact
	}{
		"the first attempt hung":            {step{fresh, unknown}, noAnswer},
		"a later attempt hung":              {step{absent, sent(absent, product.AnswerUnknown)}, noAnswer},
		"an attempt was taken":              {step{absent, sent(absent, product.AnswerAccepted)}, answered},
		"an attempt was refused":            {step{fresh, sent(fresh, product.AnswerRefused)}, answered},
		"an attempt did not leave":          {step{absent, sent(absent, product.AnswerNotSent)}, notSent},
		"a question hung":                   {step{unknown, answeredBy(unknown, product.AnswerUnknown)}, noAnswer},
		"a question did not leave":          {step{unknown, answeredBy(unknown, product.AnswerNotSent)}, notSent},
		"it does not know the transaction":  {step{unknown, absent}, answered},
		"cut off while it was being sent":   {step{cut, answeredBy(cut, product.AnswerUnknown)}, notAsked},
		"the line's plans are ambiguous":    {step{unknown, answeredBy(unknown, product.AnswerAmbiguous)}, notAsked},
		"a check that could not be made":    {step{fresh, fresh.WaitForKOS(time.Second, now)}, notSent},
		"a question that found it accepted": {step{unknown, answeredBy(unknown, product.AnswerAccepted)}, answered},
	} {
		require.Equal(t, c.want, c.step.contact(), name)
	}
}
