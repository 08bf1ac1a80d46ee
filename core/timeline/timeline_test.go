package timeline_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/core/timeline"
)

var noon = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func whats(s timeline.Timeline) (all []timeline.EventType) {
	for _, e := range s.Events {
		all = append(all, e.Type)
	}
	return all
}

func event(t *testing.T, s timeline.Timeline, what timeline.EventType) timeline.Event {
	t.Helper()
	for _, e := range s.Events {
		if e.Type == what {
			return e
		}
	}
	require.Fail(t, "no such event", what)
	return timeline.Event{}
}

func call(operation, result string, asked float64) audit.Call {
	return audit.Call{
		Operation: operation, Result: result, AskedAt: at(asked), AnsweredAt: at(asked + 0.25), Attempt: 1, Breaker: "CLOSED",
		HTTPStatus: 200,
	}
}

func inquiry(row bill.Inquiry) timeline.Inquiry {
	row.RequestedAt, row.Month = noon, calendar.MonthOf(noon)
	return timeline.Inquiry{Line: "010-****-5678", Row: row}
}

func completed(from freshness.Source) bill.Inquiry {
	return bill.Inquiry{Status: bill.Completed, Source: from, ProcessedAt: at(1), AsOf: at(-60), Attempts: 1}
}

// TestTheSourceOfTheResultIsInTheTimeline: why an inquiry got its result from there.
func TestTheSourceOfTheResultIsInTheTimeline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		row    bill.Inquiry
		calls  []audit.Call
		gaps   []timeline.Gap
		want   []timeline.EventType
		source timeline.Source
		text   string
	}{
		"from memory": {
			row: completed(freshness.FromCache), want: []timeline.EventType{timeline.Requested, timeline.FromCache},
			source: timeline.Cache, text: "KOS를 기다리지 않고",
		},
		"from memory, and renewed": {
			row: completed(freshness.FromCache), calls: []audit.Call{call("bill.inquiry", "0000", 2)},
			want: []timeline.EventType{timeline.Requested, timeline.FromCache, timeline.RenewedEarly}, source: timeline.Cache,
			text: "유효",
		},
		"old": {
			row: completed(freshness.FromStale), calls: []audit.Call{call("bill.inquiry", "BROKEN", 0.5)},
			want: []timeline.EventType{timeline.Requested, timeline.CalledKOS, timeline.Stale}, source: timeline.Cache,
			text: "이전 요금",
		},
		"from KOS": {
			row: completed(freshness.FromKOS), calls: []audit.Call{call("bill.inquiry", "0000", 0.5)},
			want: []timeline.EventType{timeline.Requested, timeline.CalledKOS, timeline.FromKOS}, source: timeline.KOS,
			text: "KOS의 응답으로 답하였습니다",
		},
		"from KOS, asked by another": {
			row: completed(freshness.FromKOS), want: []timeline.EventType{timeline.Requested, timeline.FromKOS},
			source: timeline.KOS, text: "함께 사용",
		},
		"from KOS, without the log": {
			row: completed(freshness.FromKOS), gaps: []timeline.Gap{timeline.CallsUnavailable},
			want: []timeline.EventType{timeline.Requested, timeline.FromKOS}, source: timeline.KOS,
			text: "KOS의 응답으로 답하였습니다",
		},
	} {
		q := inquiry(c.row)
		q.Calls, q.Gaps = c.calls, c.gaps
		s := q.Timeline()
		require.Equal(t, c.want, whats(s), name)
		require.Equal(t, c.gaps, s.Missing, name)
		require.Equal(t, []string{"bill", "010-****-5678", "COMPLETED"}, []string{string(s.Kind), s.Line, s.Status}, name)
		require.Zero(t, s.NextAt, name)
		e := event(t, s, c.want[len(c.want)-1])
		if e.Type == timeline.RenewedEarly {
			require.Contains(t, e.Text, "갱신", name)
			e = event(t, s, timeline.FromCache)
		}
		require.Equal(t, c.source, e.Source, name)
		require.Contains(t, e.Text, c.text, name)
		require.Equal(t, map[string]string{"source": string(c.row.Source), "asOf": "2026-11-21T02:59:00Z", "attempts": "1"},
			e.Facts, name)
	}
	unasked := completed(freshness.FromStale)
	unasked.Attempts = 0
	require.Contains(t, event(t, inquiry(unasked).Timeline(), timeline.Stale).Text, "호출할 수 없어")
	s := inquiry(completed(freshness.FromKOS))
	s.Gaps = []timeline.Gap{timeline.CallsUnavailable}
	require.NotContains(t, event(t, s.Timeline(), timeline.FromKOS).Text, "함께",
		"without the log nothing is said about it")
}

func TestInquiriesThatDoNotSucceed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		row    bill.Inquiry
		want   []timeline.EventType
		text   string
		code   string
		nextAt time.Time
	}{
		{bill.Inquiry{Status: bill.Processing, NextAttemptAt: at(30)}, []timeline.EventType{timeline.Requested}, "", "",
			at(30)},
		{
			bill.Inquiry{Status: bill.Failed, FailureCode: fault.BillNotFound, ProcessedAt: at(1), Attempts: 1,
				NextAttemptAt: at(30)},
			[]timeline.EventType{timeline.Requested, timeline.Failed}, fault.New(fault.BillNotFound).Message(), "BILL_NOT_FOUND",
			time.Time{},
		},
		{
			bill.Inquiry{Status: bill.Timeout, FailureCode: fault.ServiceUnavailable, ProcessedAt: at(70), Attempts: 3},
			[]timeline.EventType{timeline.Requested, timeline.TimedOut}, "응답이 없어", "SERVICE_UNAVAILABLE", time.Time{},
		},
	} {
		s := inquiry(c.row).Timeline()
		require.Equal(t, c.want, whats(s))
		require.Equal(t, c.nextAt, s.NextAt)
		last := s.Events[len(s.Events)-1]
		require.Contains(t, last.Text, c.text)
		require.Equal(t, c.code, last.Facts["code"])
	}
}

// TestACallEventHasWaitBreakerAndResult: the wait stands before the call when it was long.
func TestACallEventHasWaitBreakerAndResult(t *testing.T) {
	t.Parallel()
	q := inquiry(completed(freshness.FromKOS))
	long, short := call("bill.inquiry", "TIMEOUT", 0.9), call("made.up", "E103", 1)
	long.Waited, long.Breaker, long.HTTPStatus = 850*time.Millisecond, "HALF_OPEN", 0
	short.Waited, short.Attempt = 99*time.Millisecond, 2
	q.Calls = []audit.Call{long, short}
	s := q.Timeline()
	require.Equal(t, []timeline.EventType{
		timeline.Requested, timeline.WaitedForQuota, timeline.CalledKOS, timeline.CalledKOS, timeline.FromKOS,
	}, whats(s), "those of one time as given")
	require.Equal(t, timeline.Event{
		At: at(0.05), Source: timeline.Queue, Type: timeline.WaitedForQuota, Text: "KOS 호출 차례를 850ms 기다렸습니다",
		Facts: map[string]string{"operation": "bill.inquiry", "waitedMs": "850"},
	}, s.Events[1])
	require.Equal(t, timeline.Event{
		At: at(0.9), Source: timeline.KOS, Type: timeline.CalledKOS,
		Text: "KOS 요금 조회 호출: 제한 시간 내 응답 없음 (250ms)",
		Facts: map[string]string{
			"operation": "bill.inquiry", "attempt": "1", "breaker": "HALF_OPEN", "result": "TIMEOUT", "waitedMs": "850",
			"tookMs": "250",
		},
	}, s.Events[2])
	require.Equal(t, "KOS made.up 호출: 결과 코드 E103 (250ms)", s.Events[3].Text)
	require.Equal(t, "200", s.Events[3].Facts["httpStatus"])
	require.Equal(t, "99", s.Events[3].Facts["waitedMs"])
}

func TestDeliveriesAreInTheTimeline(t *testing.T) {
	t.Parallel()
	q := inquiry(completed(freshness.FromCache))
	q.Deliveries = timeline.Deliveries{ReplayedAt: at(50), Attempts: []delivery.AttemptRecord{
		{At: at(2), State: delivery.Pending, Note: "HTTP 503"}, {At: at(9), State: delivery.Parked, Note: "HTTP 422"},
		{At: at(51), State: delivery.Delivered, Note: "HTTP 200"},
	}}
	s := q.Timeline()
	require.Equal(t, []timeline.EventType{
		timeline.Requested, timeline.FromCache, timeline.DeliveryAttempted, timeline.DeliveryParked,
		timeline.DeliveryReplayed,
		timeline.Delivered,
	}, whats(s))
	require.Equal(t, timeline.Staff, event(t, s, timeline.DeliveryReplayed).Source)
	require.Equal(t, map[string]string{"state": "PENDING", "note": "HTTP 503"},
		event(t, s, timeline.DeliveryAttempted).Facts)
}

func step(seconds float64, state product.State, sends int) timeline.Step {
	return timeline.Step{At: at(seconds), State: state, Sends: sends, NextAt: at(seconds + 10)}
}

func order(state product.State, steps ...timeline.Step) timeline.Order {
	return timeline.Order{
		Line: "010-****-5678", Steps: steps,
		Row: product.Order{
			TransactionID: id.ID{15: 2}, From: "LTE", To: "5G", EffectiveDate: calendar.DateOf(noon), State: state,
			RequestedAt: noon, NextAttemptAt: at(99), FailureReason: "미납 요금", KOSOrder: "KOS-7",
		},
	}
}

// TestTheStatesOfAnOrderAreInTheTimeline, each transition for itself: what happened is in the pair, not in the state.
func TestTheStatesOfAnOrderAreInTheTimeline(t *testing.T) {
	t.Parallel()
	withNote := func(s timeline.Step) timeline.Step { s.Note = "OPEN"; return s }
	coded := func(s timeline.Step, code string) timeline.Step { s.Code = code; return s }
	begin := step(0, product.Requested, 0)
	sent := step(1, product.Dispatched, 1)
	for name, c := range map[string]struct {
		steps  []timeline.Step
		want   []timeline.EventType // after REQUESTED
		source timeline.Source      // of the last one
	}{
		"checked and sent": {[]timeline.Step{begin, sent}, []timeline.EventType{timeline.CheckPassed, timeline.Dispatched},
			timeline.Request},
		"could not be asked": {[]timeline.Step{begin, withNote(step(1, product.Requested, 0))},
			[]timeline.EventType{timeline.Waiting}, timeline.Queue},
		"not sent": {
			[]timeline.Step{begin, sent, withNote(step(2, product.Validated, 0))},
			[]timeline.EventType{timeline.CheckPassed, timeline.Dispatched, timeline.NotSent}, timeline.Queue,
		},
		"not sent, and not checked again": {
			[]timeline.Step{begin, sent, withNote(step(2, product.Validated, 0)), withNote(step(3, product.Validated, 0))},
			[]timeline.EventType{timeline.CheckPassed, timeline.Dispatched, timeline.NotSent, timeline.Waiting}, timeline.Queue,
		},
		"not sent, then sent": {
			[]timeline.Step{begin, sent, withNote(step(2, product.Validated, 0)), step(3, product.Dispatched, 1)},
			[]timeline.EventType{timeline.CheckPassed, timeline.Dispatched, timeline.NotSent, timeline.Dispatched},
			timeline.Request,
		},
		"unknown, and again": {
			[]timeline.Step{begin, sent, step(2, product.Unknown, 1), step(3, product.Unknown, 1)},
			[]timeline.EventType{timeline.CheckPassed, timeline.Dispatched, timeline.Unknown, timeline.StillUnknown},
			timeline.Request,
		},
		"sent again": {
			[]timeline.Step{begin, sent, step(2, product.Unknown, 1), step(3, product.Validated, 1),
				step(4, product.Dispatched, 2)},
			[]timeline.EventType{timeline.CheckPassed, timeline.Dispatched, timeline.Unknown, timeline.NotAtKOS,
				timeline.Dispatched}, timeline.Request,
		},
		"parked, and asked about again": {
			[]timeline.Step{begin, sent, step(2, product.Unknown, 1), step(3, product.Parked, 1), step(4, product.Unknown, 1)},
			[]timeline.EventType{timeline.CheckPassed, timeline.Dispatched, timeline.Unknown, timeline.Parked,
				timeline.AskedAgain}, timeline.Staff,
		},
		"done": {
			[]timeline.Step{begin, sent, coded(step(2, product.Completed, 1), "0000")},
			[]timeline.EventType{timeline.CheckPassed, timeline.Dispatched, timeline.Completed}, timeline.Request,
		},
		"refused": {
			[]timeline.Step{begin, sent, coded(step(2, product.Failed, 1), "E103")},
			[]timeline.EventType{timeline.CheckPassed, timeline.Dispatched, timeline.Failed}, timeline.Request,
		},
		"failed the check": {
			[]timeline.Step{begin, coded(step(1, product.Failed, 0), "VALIDATION_FAILED")},
			[]timeline.EventType{timeline.CheckFailed}, timeline.Check,
		},
		"line not in use": {
			[]timeline.Step{begin, coded(step(1, product.Failed, 0), "LINE_SUSPENDED")},
			[]timeline.EventType{timeline.CheckFailed}, timeline.Check,
		},
		"line not there": {
			[]timeline.Step{begin, coded(step(1, product.Failed, 0), "LINE_NOT_FOUND")},
			[]timeline.EventType{timeline.CheckFailed}, timeline.Check,
		},
		"taken back": {[]timeline.Step{begin, step(1, product.Cancelled, 0)},
			[]timeline.EventType{timeline.Cancelled}, timeline.Request},
		"the oldest steps gone": {[]timeline.Step{step(5, product.Unknown, 1)}, []timeline.EventType{timeline.Unknown},
			timeline.Request},
	} {
		s := order(c.steps[len(c.steps)-1].State, c.steps...).Timeline()
		require.Equal(t, append([]timeline.EventType{timeline.Requested}, c.want...), whats(s), name)
		last := s.Events[len(s.Events)-1]
		require.Equal(t, c.source, last.Source, name)
		if c.source == timeline.Queue {
			require.Contains(t, last.Text, "차단기", name)
			require.Equal(t, "OPEN", last.Facts["why"], name)
		}
		for _, e := range s.Events {
			require.NotEmpty(t, e.Text, name)
		}
	}
}

func TestFactsOfAnOrdersTimeline(t *testing.T) {
	t.Parallel()
	begin, sent := step(0, product.Requested, 0), step(1, product.Dispatched, 1)
	s := order(product.Unknown, begin, sent, step(2, product.Unknown, 1)).Timeline()
	require.Equal(t, []string{"change", "010-****-5678", "UNKNOWN"}, []string{string(s.Kind), s.Line, s.Status})
	require.Equal(t, at(99), s.NextAt)
	require.Equal(t, map[string]string{
		"from": "LTE", "to": "5G", "effectiveDate": "2026-11-21", "transactionId": "00000000-0000-0000-0000-000000000002",
	}, s.Events[0].Facts)
	require.Equal(t, map[string]string{"sends": "1", "nextAt": "2026-11-21T03:00:12Z"},
		event(t, s, timeline.Unknown).Facts)
	require.Zero(t, order(product.Parked, begin, sent).Timeline().NextAt, "a person has to decide")

	done := step(2, product.Completed, 1)
	done.Code = "0000"
	require.Equal(t, map[string]string{"sends": "1", "code": "0000", "kosOrder": "KOS-7"},
		event(t, order(product.Completed, begin, sent, done).Timeline(), timeline.Completed).Facts)
	require.Zero(t, order(product.Completed, begin, sent, done).Timeline().NextAt)
	require.Contains(t, event(t, order(product.Failed, begin, step(1, product.Failed, 0)).Timeline(),
		timeline.Failed).Text, "미납 요금")
}

// TestAnOrderThatTimedOutAndAPersonEnded: all sources in one timeline.
func TestAnOrderThatTimedOutAndAPersonEnded(t *testing.T) {
	t.Parallel()
	end := step(100, product.Completed, 1)
	end.Code = product.ResultResolved
	o := order(product.Completed, step(0, product.Requested, 0), step(1, product.Dispatched, 1),
		step(6.3, product.Unknown, 1),
		step(60, product.Parked, 1), end)
	o.Calls = []audit.Call{
		call("customer.get", "0000", 0.1), call("product.change", "TIMEOUT", 1.1),
		call("product.change.status", "BROKEN", 50),
	}
	decision := func(seconds float64, by string, applied bool) timeline.Decision {
		return timeline.Decision{
			Resolution: product.Resolution{
				Outcome: product.OutcomeCompleted, Reason: "KOS 화면에서 확인", By: auth.UserID("operator-" + by), At: at(seconds),
			},
			Applied: applied,
		}
	}
	o.Decisions = []timeline.Decision{decision(90, "kim", false), decision(99.9, "lee", true)}
	o.Deliveries.Attempts = []delivery.AttemptRecord{{At: at(101), State: delivery.Delivered}}
	o.NotifiedAt, o.Notices, o.Gaps = at(100.5), 2, []timeline.Gap{timeline.Truncated}
	s := o.Timeline()
	require.Equal(t, []timeline.EventType{
		timeline.Requested, timeline.CalledKOS, timeline.CheckPassed, timeline.Dispatched, timeline.CalledKOS,
		timeline.Unknown, timeline.CalledKOS, timeline.Parked, timeline.Proposed, timeline.Resolved, timeline.Completed,
		timeline.CustomerNotified, timeline.Delivered,
	}, whats(s))
	require.Equal(t, map[string]string{"by": "operator-lee", "outcome": "COMPLETED", "reason": "KOS 화면에서 확인"},
		event(t, s, timeline.Resolved).Facts)
	require.Equal(t, map[string]string{"attempts": "2"}, event(t, s, timeline.CustomerNotified).Facts)
	require.Equal(t, []timeline.Gap{timeline.Truncated}, s.Missing)
}

// TestRepeatedChecksAreOneEvent: an order that is asked about for a day is read at a glance, and what came before and
// after stays apart.
func TestRepeatedChecksAreOneEvent(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	at := func(i int) time.Time { return began.Add(time.Duration(i) * 30 * time.Second) }
	o := timeline.Order{Row: product.Order{State: product.Unknown, RequestedAt: began, NextAttemptAt: at(3000)}}
	o.Steps = append(o.Steps, timeline.Step{At: at(0), State: product.Dispatched, Sends: 1},
		timeline.Step{At: at(1), State: product.Unknown, Sends: 1})
	check := func(i int, result, note string) {
		o.Calls = append(o.Calls, audit.Call{
			Operation: "product.change.status", AskedAt: at(i), AnsweredAt: at(i).Add(time.Second), Result: result,
		})
		o.Steps = append(o.Steps, timeline.Step{
			At: at(i).Add(2 * time.Second), State: product.Unknown, Sends: 1, Note: note, NextAt: at(i + 1),
		})
	}
	for i := 2; i < 2002; i++ {
		check(i, "TIMEOUT", "")
	}
	check(2002, "E999", "")
	o.Steps = append(o.Steps, timeline.Step{At: at(2003), State: product.Parked, Sends: 1},
		timeline.Step{At: at(2004), State: product.Unknown, Sends: 1})
	check(2005, "TIMEOUT", "")
	var whats []timeline.EventType
	counts := map[int]string{}
	for i, e := range o.Timeline().Events {
		whats = append(whats, e.Type)
		if n := e.Facts["count"]; n != "" {
			counts[i] = n + " until " + e.Facts["lastAt"]
		}
	}
	require.Equal(t, []timeline.EventType{
		timeline.Requested, timeline.CheckPassed, timeline.Dispatched, timeline.Unknown, timeline.CalledKOS,
		timeline.StillUnknown, timeline.CalledKOS, timeline.Parked, timeline.AskedAgain, timeline.CalledKOS,
		timeline.StillUnknown,
	}, whats)
	last := at(2002).Add(2 * time.Second).Format(time.RFC3339)
	require.Equal(t, map[int]string{4: "2000 until " + at(2001).Format(time.RFC3339), 5: "2001 until " + last}, counts)
}

func TestTheCancellerIsInTheTimeline(t *testing.T) {
	t.Parallel()
	for note, source := range map[string]timeline.Source{"": timeline.Request, "STAFF": timeline.Staff} {
		events := timeline.Order{
			Row: product.Order{State: product.Cancelled}, Steps: []timeline.Step{{At: at(1), State: product.Cancelled,
				Note: note}},
		}.Timeline().Events
		require.Equal(t, timeline.Cancelled, events[1].Type)
		require.Equal(t, source, events[1].Source)
	}
}
