package product_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/money"
	"phonebill/core/product"
)

var now = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

var states = []product.State{
	product.Requested, product.Validated, product.Dispatched, product.Unknown, product.Parked, product.Completed,
	product.Failed,
	product.Cancelled,
}

const no = product.State("") // forbidden

// TestEveryCellOfTheStateMachine writes the whole table out: a row per event, a column per state.
func TestEveryCellOfTheStateMachine(t *testing.T) {
	t.Parallel()
	const (
		valid, sent, unknown, parked = product.Validated, product.Dispatched, product.Unknown, product.Parked
		done, failed, gone           = product.Completed, product.Failed, product.Cancelled
	)
	table := map[product.Event][8]product.State{
		//                      requested validated dispatched unknown parked completed failed cancelled
		product.CheckPassed:   {valid, valid, no, no, no, no, no, no},
		product.CheckFailed:   {failed, failed, no, no, no, no, no, no},
		product.Sending:       {no, sent, no, no, no, no, no, no},
		product.NotSent:       {no, no, valid, no, no, no, no, no},
		product.AcceptedByKOS: {no, no, done, done, done, no, no, no},
		product.RefusedByKOS:  {no, no, failed, failed, failed, no, no, no},
		product.NoAnswer:      {no, no, unknown, unknown, no, no, no, no},
		product.NotAtKOS:      {no, no, no, valid, no, no, no, no},
		product.Ambiguous:     {no, no, no, parked, no, no, no, no},
		product.Cancel:        {gone, gone, no, no, no, no, no, no},
		product.AskAgain:      {no, no, no, no, unknown, no, no, no},
	}
	require.Len(t, table, int(product.AskAgain)+1, "every event has a row")
	for event, row := range table {
		for i, state := range states {
			after, err := product.Order{State: state}.Apply(event)
			if row[i] == no {
				require.ErrorIs(t, err, fault.New(fault.StateConflict), "%s x %d", state, event)
				require.Equal(t, product.Order{State: state}.Public(), fault.From(err).Details()["state"], "the state of the API")
				require.Equal(t, state, after.State)
				continue
			}
			require.NoError(t, err, "%s x %d", state, event)
			require.Equal(t, row[i], after.State, "%s x %d", state, event)
		}
	}
	_, err := product.Order{State: "MADE_UP"}.Apply(product.CheckPassed)
	require.ErrorIs(t, err, fault.New(fault.StateConflict))
}

func TestPublicStatesAndFinality(t *testing.T) {
	t.Parallel()
	for state, want := range map[product.State]string{
		product.Requested: "PENDING", product.Validated: "PENDING", product.Dispatched: "PROCESSING",
		product.Unknown: "PROCESSING", product.Parked: "PROCESSING", product.Completed: "COMPLETED",
		product.Failed: "FAILED", product.Cancelled: "CANCELLED",
		"MADE_UP": "PROCESSING",
	} {
		require.Equal(t, want, product.Order{State: state}.Public(), state)
	}
	for i, state := range states {
		require.Equal(t, i >= 5, state.Final(), state)
	}
}

func TestEveryRefusalHasAReason(t *testing.T) {
	t.Parallel()
	atKOS := map[string]bool{}
	for r := product.RefusedOther; r <= product.RefusedLine; r++ {
		require.NotEmpty(t, r.Reason())
		atKOS[r.Reason()] = true
	}
	require.Len(t, atKOS, 8)
	require.Equal(t, product.RefusedOther.Reason(), product.Refusal(99).Reason())
}

func dispatched() product.Order {
	return product.Order{State: product.Dispatched, RequestedAt: now, Sends: 1}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	unknown := dispatched()
	unknown.State = product.Unknown
	for _, o := range []product.Order{dispatched(), unknown} {
		done, err := o.ApplyAnswer(product.Answer{Kind: product.AnswerAccepted, Code: "0000", KOSOrder: "K-1"}, now)
		require.NoError(t, err)
		require.Equal(t, product.Completed, done.State)
		require.Equal(t, []string{"0000", "K-1", "상품 변경이 완료되었습니다", ""},
			[]string{done.ResultCode, done.KOSOrder, done.ResultMessage, done.FailureReason})
		require.Equal(t, now, done.ProcessedAt)

		refused, err := o.ApplyAnswer(product.Answer{Kind: product.AnswerRefused, Code: "E103",
			Refusal: product.RefusedUnpaid}, now)
		require.NoError(t, err)
		require.Equal(t, product.Failed, refused.State)
		require.Equal(t, "상품 변경 요청을 실패하였습니다", refused.ResultMessage)
		require.Equal(t, product.RefusedUnpaid.Reason(), refused.FailureReason)

		for _, kind := range []product.AnswerKind{product.AnswerUnknown, product.AnswerKind(99)} {
			lost, err := o.ApplyAnswer(product.Answer{Kind: kind}, now)
			require.NoError(t, err)
			require.Equal(t, product.Unknown, lost.State, "never FAILED (ADR 21)")
			require.Equal(t, now.Add(10*time.Second), lost.NextAttemptAt)
			require.Equal(t, 1, lost.Silences)
		}
	}
	notSent, err := dispatched().ApplyAnswer(product.Answer{Kind: product.AnswerNotSent, RetryAfter: time.Minute}, now)
	require.NoError(t, err)
	require.Equal(t, product.Validated, notSent.State)
	require.Equal(t, now.Add(30*time.Second), notSent.NextAttemptAt)
	require.Zero(t, notSent.Sends, "it never reached the wire")

	notSent, err = unknown.ApplyAnswer(product.Answer{Kind: product.AnswerNotSent}, now)
	require.NoError(t, err)
	require.Equal(t, product.Unknown, notSent.State, "the question was not sent; nothing is known")
	require.Equal(t, now.Add(5*time.Second), notSent.NextAttemptAt)
	require.Equal(t, 1, notSent.Sends)

	absent, err := unknown.ApplyAnswer(product.Answer{Kind: product.AnswerAbsent}, now)
	require.NoError(t, err)
	require.Equal(t, product.Validated, absent.State)
	require.Equal(t, now, absent.NextAttemptAt)
	require.Equal(t, 1, absent.Sends, "an attempt that may yet arrive")

	_, err = dispatched().ApplyAnswer(product.Answer{Kind: product.AnswerAbsent}, now)
	require.ErrorIs(t, err, fault.New(fault.StateConflict))
	for _, kind := range []product.AnswerKind{product.AnswerAccepted, product.AnswerRefused, product.AnswerUnknown} {
		_, err = product.Order{State: product.Completed}.ApplyAnswer(product.Answer{Kind: kind}, now)
		require.ErrorIs(t, err, fault.New(fault.StateConflict))
	}
}

// TestAnOrderIsFinalSoonAfterKOSIsBack however long it was silent: the gaps do not grow beyond half a minute.
func TestAnOrderIsFinalSoonAfterKOSIsBack(t *testing.T) {
	t.Parallel()
	o, at := dispatched(), now
	var waits []time.Duration
	for o.State != product.Parked {
		var err error
		o, err = o.ApplyAnswer(product.Answer{Kind: product.AnswerUnknown}, at)
		require.NoError(t, err)
		waits = append(waits, o.NextAttemptAt.Sub(at))
		require.LessOrEqual(t, len(waits), 3000)
		at = o.NextAttemptAt
	}
	s := time.Second
	require.Equal(t, []time.Duration{10 * s, 20 * s, 30 * s, 30 * s}, waits[:4])
	require.Equal(t, 30*s, slices.Max(waits))
	require.Greater(t, at.Sub(now), 24*time.Hour)
}

func TestAnOrderThatWaitedADayIsAskedAboutBeforeItIsParked(t *testing.T) {
	t.Parallel()
	o, at := dispatched(), now.Add(48*time.Hour) // KOS was down for two days; the first send got no answer
	questions := 0
	for o.State != product.Parked {
		var err error
		o, err = o.ApplyAnswer(product.Answer{Kind: product.AnswerUnknown}, at)
		require.NoError(t, err)
		at = o.NextAttemptAt
		questions++
		require.LessOrEqual(t, questions, 200)
	}
	require.GreaterOrEqual(t, questions, 40)
	require.Greater(t, at.Sub(now.Add(48*time.Hour)), 19*time.Minute)
}

func TestSendDelayAndNames(t *testing.T) {
	t.Parallel()
	o, err := product.Order{State: product.Validated, Sends: 1, Silences: 3}.Send()
	require.NoError(t, err)
	require.Equal(t, product.Order{State: product.Dispatched, Sends: 2}, o, "the quiet period begins anew")
	_, err = o.Send()
	require.ErrorIs(t, err, fault.New(fault.StateConflict))
	require.Equal(t, now.Add(5*time.Second), o.WaitForKOS(0, now).NextAttemptAt)
	require.Equal(t, now.Add(20*time.Second), o.WaitForKOS(20*time.Second, now).NextAttemptAt)
	require.Equal(t, now.Add(30*time.Second), o.WaitForKOS(time.Hour, now).NextAttemptAt)
	plans := product.PlansCopy{Plans: []product.Plan{{Code: "A", Name: "가"}}}
	require.Equal(t, product.Order{From: "A", To: "B", FromName: "가"},
		product.Order{From: "A", To: "B"}.WithPlanNames(plans, product.Customer{}))
	require.Equal(t, product.Order{From: "B", To: "A", Target: plans.Plans[0]},
		product.Order{From: "B", To: "A"}.WithPlanNames(plans, product.Customer{}))
}

// The name of the line's own plan is what KOS states with the customer where the list has forgotten the plan.
func TestNamesOfPlansThatAreNotListed(t *testing.T) {
	t.Parallel()
	list := product.PlansCopy{Plans: []product.Plan{{Code: "A", Name: "가"}, {Code: "Z"}}}
	c := product.Customer{PlanCode: "GONE", Plan: product.Plan{Code: "GONE", Name: "지난 플랜"}}
	require.Equal(t, "지난 플랜", product.Order{From: "GONE", To: "A"}.WithPlanNames(list, c).FromName)
	require.Equal(t, "가", product.Order{From: "A", To: "Z"}.WithPlanNames(list, c).FromName)
	require.Empty(t, product.Order{From: "ELSE", To: "A"}.WithPlanNames(list, c).FromName,
		"another plan than the customer's")
	require.Equal(t, "앞서 알던 이름", product.Order{
		From: "ELSE", FromName: "앞서 알던 이름",
	}.WithPlanNames(list, c).FromName,
		"nothing is forgotten")
	c = product.Customer{PlanCode: "Z", Plan: product.Plan{Code: "Z", Name: "이름"}}
	require.Equal(t, "이름", product.Order{From: "Z", To: "A"}.WithPlanNames(list, c).FromName, "the list gives no name")
}

func TestPlansFromTwoDescriptions(t *testing.T) {
	t.Parallel()
	won := func(n money.Won) *money.Won { return &n }
	full := product.Plan{
		Code: "A", Name: "가", MonthlyFee: won(1), DataAllowance: "d", VoiceAllowance: "v", SMSAllowance: "s",
		NetworkType: "n", Description: "t", OnSale: true, OperatorCode: "o",
	}
	require.Equal(t, full, product.Plan{Code: "A", SaleUnknown: true}.Or(full))
	require.Equal(t, full, full.Or(product.Plan{Code: "A", Name: "나", MonthlyFee: won(2)}), "the first one counts")
	require.Equal(t, product.Plan{Code: "B", SaleUnknown: true}, product.Plan{Code: "B", SaleUnknown: true}.Or(full),
		"another plan says nothing of it")
	require.Equal(t, won(0), product.Plan{Code: "A", MonthlyFee: won(0)}.Or(full).MonthlyFee, "0 won is a fee")
}

func TestCheckedAndRefused(t *testing.T) {
	t.Parallel()
	o := product.Order{ID: id.ID{1}, State: product.Requested}
	pass := product.Check{Pass: true}
	ok, err := o.ApplyVerdict(product.Verdict{Checks: [3]product.Check{pass, pass, pass}}, now)
	require.NoError(t, err)
	require.Equal(t, product.Validated, ok.State)
	require.True(t, ok.ProcessedAt.IsZero())

	line := product.Verdict{Checks: [3]product.Check{pass, pass, {Type: product.CheckLine, Message: "정지된 회선입니다"}}}
	suspended, err := o.ApplyVerdict(line, now)
	require.NoError(t, err)
	require.Equal(t, product.Failed, suspended.State)
	require.ErrorIs(t, suspended.FailureError(), fault.New(fault.LineSuspended))
	require.Equal(t, "상품 사전 체크에 실패하였습니다: 정지된 회선입니다", fault.From(suspended.FailureError()).Message())
	require.Equal(t, o.ID.String(), fault.From(suspended.FailureError()).Details()["requestId"])

	both := product.Verdict{Checks: [3]product.Check{pass, {Type: product.CheckOperator, Message: "x"},
		{Type: product.CheckLine}}}
	failed, err := o.ApplyVerdict(both, now)
	require.NoError(t, err)
	require.ErrorIs(t, failed.FailureError(), fault.New(fault.ValidationFailed), "the first failure is the reason")
	_, err = product.Order{State: product.Dispatched}.ApplyVerdict(both, now)
	require.ErrorIs(t, err, fault.New(fault.StateConflict))

	gone, err := o.FailUnknownLine(now)
	require.NoError(t, err)
	require.ErrorIs(t, gone.FailureError(), fault.New(fault.LineNotFound))
	_, err = product.Order{State: product.Unknown}.FailUnknownLine(now)
	require.ErrorIs(t, err, fault.New(fault.StateConflict))

	kos, err := dispatched().ApplyAnswer(product.Answer{Kind: product.AnswerRefused, Code: "E101",
		Refusal: product.RefusedContractTerm}, now)
	require.NoError(t, err)
	require.ErrorIs(t, kos.FailureError(), fault.New(fault.ChangeDenied))
}

// TestRandomAnswersKeepTheOrderConsistent throws random answers at an order: it is FAILED only after a refusal and
// COMPLETED only after an acceptance, and it always has a time for its next step while it is neither final nor parked.
func TestRandomAnswersKeepTheOrderConsistent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, at := dispatched(), now
		for range 30 {
			kind := product.AnswerKind(rapid.IntRange(0, 6).Draw(t, "answer"))
			at = at.Add(time.Duration(rapid.IntRange(0, 20000).Draw(t, "gap")) * time.Second)
			if question := kind == product.AnswerAbsent || kind == product.AnswerAmbiguous; question &&
				o.State == product.Dispatched {
				continue
			}
			after, err := o.ApplyAnswer(product.Answer{Kind: kind}, at)
			require.NoError(t, err)
			switch after.State {
			case product.Completed:
				require.Equal(t, product.AnswerAccepted, kind)
				return
			case product.Failed:
				require.Equal(t, product.AnswerRefused, kind)
				return
			case product.Parked:
				require.Contains(t, []product.AnswerKind{product.AnswerUnknown, product.AnswerNoQuery, product.AnswerAmbiguous},
					kind)
				return
			case product.Validated:
				require.False(t, after.NextAttemptAt.Before(at))
				after, err = after.Send()
				require.NoError(t, err)
			case product.Unknown:
				require.False(t, after.NextAttemptAt.Before(at))
			case product.Requested, product.Dispatched, product.Cancelled:
				require.Fail(t, "not reachable", after.State)
			}
			o = after
		}
	})
}

func TestAnOrderIsTakenBackWhileKOSCannotHaveSeenIt(t *testing.T) {
	t.Parallel()
	for _, state := range states {
		for _, sends := range []int{0, 1} {
			gone, err := product.Order{ID: id.ID{1}, State: state, Sends: sends}.CancelByCustomer(now)
			if sends > 0 || state != product.Requested && state != product.Validated {
				require.ErrorIs(t, err, fault.New(fault.StateConflict), "%s sent %d times", state, sends)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, product.Cancelled, gone.State)
			require.Equal(t, now, gone.ProcessedAt)
			require.Equal(t, "상품 변경 요청이 취소되었습니다", gone.ResultMessage)
			require.NotEmpty(t, gone.FailureReason)
		}
	}
}

func TestWaitingForKOSEndsWhenSent(t *testing.T) {
	t.Parallel()
	o := product.Order{State: product.Requested}.WaitForKOS(0, now)
	require.True(t, o.WaitingForKOS)
	o.State = product.Validated
	o, err := o.Send()
	require.NoError(t, err)
	require.False(t, o.WaitingForKOS)
	o, err = o.ApplyAnswer(product.Answer{Kind: product.AnswerNotSent}, now)
	require.NoError(t, err)
	require.True(t, o.WaitingForKOS)
	require.Zero(t, o.Sends)
}

// TestInferFromPlans: where KOS cannot be asked about a transaction, the plans of the line are judged (ADR 21).
func TestInferFromPlans(t *testing.T) {
	t.Parallel()
	first := product.FirstOfNextMonth.Day(now)
	o := dispatched()
	o.State, o.TransactionID, o.From, o.To, o.EffectiveDate = product.Unknown, id.ID{7}, "OLD", "NEW", first
	for _, c := range []struct {
		name    string
		current string
		next    *product.Scheduled
		at      time.Time
		want    product.AnswerKind
		state   product.State
	}{
		{"nothing happened", "OLD", nil, now, product.AnswerAbsent, product.Validated},
		{"in force", "NEW", nil, first.Start(), product.AnswerAccepted, product.Completed},
		{"in force, and another one to come", "NEW", &product.Scheduled{PlanCode: "THIRD"}, first.Start(),
			product.AnswerAccepted, product.Completed},
		{"scheduled", "OLD", &product.Scheduled{PlanCode: "NEW", EffectiveDate: first}, now, product.AnswerAccepted,
			product.Completed},
		{"scheduled by us", "OLD", &product.Scheduled{PlanCode: "NEW", EffectiveDate: first, TransactionID: id.ID{7}},
			now, product.AnswerAccepted, product.Completed},
		{"the same scheduled by another", "OLD", &product.Scheduled{PlanCode: "NEW", EffectiveDate: first,
			TransactionID: id.ID{8}},
			now, product.AnswerAmbiguous, product.Parked},
		{"scheduled for another day", "OLD", &product.Scheduled{PlanCode: "NEW", EffectiveDate: first.AddDays(1)},
			now, product.AnswerAmbiguous, product.Parked},
		{"another one scheduled", "OLD", &product.Scheduled{PlanCode: "THIRD", EffectiveDate: first}, now,
			product.AnswerAmbiguous, product.Parked},
		{"a third one in force", "THIRD", nil, now, product.AnswerAmbiguous, product.Parked},
		{"in force before its day", "NEW", nil, now, product.AnswerAmbiguous, product.Parked},
	} {
		a := o.InferFromPlans(product.Customer{PlanCode: c.current, Scheduled: c.next}, c.at)
		require.Equal(t, c.want, a.Kind, c.name)
		after, err := o.ApplyAnswer(a, now)
		require.NoError(t, err, c.name)
		require.Equal(t, c.state, after.State, c.name)
	}
}

// TestALineThatKOSKeepsFailingOnIsAskedLessOften: calls that it gets are calls that others do not get. What may have
// been sent waits no longer than the bound of S-RECOVERY allows.
func TestALineThatKOSKeepsFailingOnIsAskedLessOften(t *testing.T) {
	t.Parallel()
	o, at, checks := product.Order{State: product.Requested, RequestedAt: now}, now, 0
	for at.Before(now.Add(24 * time.Hour)) {
		o = o.Recheck(at)
		require.True(t, o.NextAttemptAt.After(at))
		at = o.NextAttemptAt
		checks++
	}
	require.Less(t, checks, 320)

	o, at = dispatched(), now
	var sent []time.Duration
	for o.State != product.Parked { // each attempt ends in silence, and KOS then does not know of it
		var err error
		if o.State == product.Validated {
			at = o.NextAttemptAt
			o, err = o.Send()
			require.NoError(t, err)
		}
		sent = append(sent, at.Sub(now))
		o, err = o.ApplyAnswer(product.Answer{Kind: product.AnswerUnknown}, at)
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, o.NextAttemptAt.Sub(at), "what KOS knows of it is learnt as soon as ever")
		at = o.NextAttemptAt
		o, err = o.ApplyAnswer(product.Answer{Kind: product.AnswerAbsent}, at)
		require.NoError(t, err)
	}
	s := time.Second
	require.Equal(t, []time.Duration{0, 10 * s, 30 * s, 60 * s, 100 * s, 140 * s, 180 * s}, sent[:7])
	for i := range sent[4:] {
		require.Equal(t, 40*s, sent[4+i]-sent[3+i],
			"never so long that the order is final later than a minute after KOS takes it")
	}
	require.Equal(t, 28, o.Sends)
	require.InDelta(t, 20, (o.NextAttemptAt.Sub(now)).Minutes(), 4)
}

func TestOrdersOfOneMomentDoNotComeBackTogether(t *testing.T) {
	t.Parallel()
	atKOS := map[time.Time]bool{}
	for n := range byte(64) {
		o := product.Order{ID: id.ID{15: n}}.WaitForKOS(20*time.Second, now)
		wait := o.NextAttemptAt.Sub(now)
		require.GreaterOrEqual(t, wait, 20*time.Second)
		require.LessOrEqual(t, wait, 25*time.Second)
		atKOS[o.NextAttemptAt] = true
	}
	require.Len(t, atKOS, 64)
}
