package bill

import (
	"slices"
	"strconv"
	"time"

	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
)

// Source tells where an answer came from.
type Source string

// The sources.
const (
	FromKOS   Source = "KOS"
	FromCache Source = "CACHE"
	FromStale Source = "STALE" // KOS cannot answer now; the copy is older than it should be (decision 12)
)

// Status of an inquiry.
type Status string

// The states. Processing is the only one that is not final.
const (
	Processing Status = "PROCESSING"
	Completed  Status = "COMPLETED"
	Failed     Status = "FAILED"
)

// MaxAttempts is how often one inquiry may ask KOS, the background included (decision 7).
const MaxAttempts = 3

// BackgroundGap is the least time between two background attempts (decision 7).
const BackgroundGap = 30 * time.Second

// Inquiry is one request for one bill.
type Inquiry struct {
	ID            id.ID
	UserID        auth.UserID
	CustomerID    string
	Line          line.Number
	Month         calendar.Month
	Status        Status
	Source        Source // empty while Processing and when Failed
	RequestedAt   time.Time
	ProcessedAt   time.Time // zero while Processing
	AsOf          time.Time // of the answer
	Version       id.ID     // of the bill answered
	Summary       string
	FailureCode   fault.Code // public code; empty unless Failed
	Attempts      int        // KOS calls made
	NextAttemptAt time.Time  // while Processing: not before
	Fence         int64      // lease under which it was claimed; the store refuses older ones
}

// ParseMonth reads the month asked for: empty means the current one at now (UFR-BILL-020); one outside the selectable
// months is a VALIDATION_ERROR on inquiryMonth (decision 6).
func ParseMonth(s string, now time.Time, selectable int) (calendar.Month, error) {
	if s == "" {
		return calendar.MonthOf(now), nil
	}
	m, err := calendar.ParseMonth(s)
	if err != nil {
		return calendar.Month{}, err
	}
	if m.After(calendar.MonthOf(now)) {
		return calendar.Month{}, fault.InvalidField("inquiryMonth", "미래의 월은 조회할 수 없습니다")
	}
	if !slices.Contains(SelectableMonths(now, selectable), m) {
		return calendar.Month{}, fault.InvalidField("inquiryMonth",
			"최근 "+strconv.Itoa(selectable)+"개월 이내의 월만 조회할 수 있습니다")
	}
	return m, nil
}

// Complete answers the inquiry with a copy.
func (q Inquiry) Complete(c Copy, from Source, now time.Time) Inquiry {
	q.Status, q.Source, q.ProcessedAt = Completed, from, now
	q.AsOf, q.Version, q.Summary = c.AsOf, c.Version, c.Bill.Summary()
	return q
}

// Fail ends the inquiry without a bill.
func (q Inquiry) Fail(code fault.Code, now time.Time) Inquiry {
	q.Status, q.ProcessedAt, q.FailureCode = Failed, now, code
	return q
}

// AfterError decides what an unanswered KOS call makes of the inquiry: a business answer or the last attempt ends it,
// anything else leaves it to the background (decisions 7 and 8). interactive tells that the customer was waiting, so the
// first background attempt may follow at once. asked is false when the call never left us (breaker, quota): it costs no attempt.
func (q Inquiry) AfterError(err error, asked, interactive bool, now time.Time) Inquiry {
	f := fault.From(err)
	if asked {
		q.Attempts++
	}
	if f.Kind() == fault.NotFound {
		return q.Fail(f.Code(), now)
	}
	if q.Attempts >= MaxAttempts {
		return q.Fail(fault.ServiceUnavailable, now)
	}
	wait := BackgroundGap
	if interactive && asked {
		wait = 0
	}
	q.NextAttemptAt = now.Add(max(wait, f.RetryAfter()))
	return q
}

// HistoryFilter selects rows of a customer's own history; zero values do not filter. From and To are days in Seoul, both
// included.
type HistoryFilter struct {
	UserID auth.UserID
	Lines  []line.Number // the lines the caller owns, or the one asked for
	From   calendar.Date
	To     calendar.Date
	Status Status
	Page   int // from 1
	Size   int
}
