package bill

import (
	"slices"
	"strconv"
	"time"

	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
)

// Status of an inquiry.
type Status string

// The states. Processing is the only one that is not final. Timeout is a failure of its own here: KOS was asked as
// often as allowed and did not respond; customers and the AP server see FAILED.
const (
	Processing Status = "PROCESSING"
	Completed  Status = "COMPLETED"
	Failed     Status = "FAILED"
	Timeout    Status = "TIMEOUT"
)

// Final reports whether the inquiry has ended.
func (s Status) Final() bool { return s != Processing }

// Failure reports whether the inquiry ended without a bill.
func (s Status) Failure() bool { return s == Failed || s == Timeout }

// Public returns the status of the API.
func (s Status) Public() Status {
	if s.Failure() {
		return Failed
	}
	return s
}

// MaxAttempts is how often one inquiry may ask KOS, the background included (ADR 19).
const MaxAttempts = 3

// BackgroundGap is the least time between two background attempts (ADR 19).
const BackgroundGap = 30 * time.Second

// Inquiry is one request for one bill.
type Inquiry struct {
	ID            id.ID
	UserID        auth.UserID
	CustomerID    string
	Line          line.Number
	Month         calendar.Month
	Status        Status
	Source        freshness.Source // empty while Processing and when Failed
	RequestedAt   time.Time
	ProcessedAt   time.Time // zero while Processing
	AsOf          time.Time // of the bill shown
	Version       id.ID     // of the bill shown
	Summary       string
	FailureCode   fault.Code // public code; empty unless it failed
	Attempts      int        // KOS calls made; while Processing with the one that may be under way
	NextAttemptAt time.Time  // while Processing: not before
	TraceID       string     // of the call that asked; empty for those of older releases
	Fence         int64      // lease under which it was claimed; the store refuses older ones
}

// Account returns the account for which the bill is requested.
func (q Inquiry) Account() auth.Holder {
	return auth.Holder{UserID: q.UserID, CustomerID: q.CustomerID}
}

// ParseMonth reads the month asked for: empty means the current one at now (UFR-BILL-020); one outside the selectable
// months is a VALIDATION_ERROR on inquiryMonth (ADR 18).
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

// Complete ends the inquiry with a copy.
func (q Inquiry) Complete(c Copy, from freshness.Source, now time.Time) Inquiry {
	q.Status, q.Source, q.ProcessedAt = Completed, from, now
	q.AsOf, q.Version, q.Summary = c.AsOf, c.Version, c.Bill.Summary()
	return q
}

// Recall returns the inquiry with as much of the copy that completed it as may still be shown: a doubtful copy is
// labelled as stale, whatever its customer saw then; without a bill when the total may be invented.
func (q Inquiry) Recall(c Copy) (Inquiry, *Bill) {
	switch c.Trust {
	case Doubtful:
		q.Source = freshness.FromStale
	case MadeUp:
		return q, nil
	case Trusted:
	}
	return q, &c.Bill
}

// Fail ends the inquiry without a bill.
func (q Inquiry) Fail(code fault.Code, now time.Time) Inquiry {
	q.Status, q.ProcessedAt, q.FailureCode = Failed, now, code
	return q
}

// PublicFailure returns the error code of a failed inquiry; empty unless it failed. KOS's silence is
// SERVICE_UNAVAILABLE.
func (q Inquiry) PublicFailure() fault.Code {
	switch q.Status {
	case Timeout:
		return fault.ServiceUnavailable
	case Failed:
		return q.FailureCode
	case Processing, Completed:
	}
	return ""
}

// Reason returns the text that says why there is no bill; empty unless the inquiry failed.
func (q Inquiry) Reason() string {
	switch q.Status {
	case Timeout:
		return "통신사 시스템의 응답이 없어 요금을 조회하지 못했습니다. 잠시 후 다시 신청해주세요"
	case Failed:
		return fault.New(q.FailureCode).Message()
	case Processing, Completed:
	}
	return ""
}

// Trouble is why a KOS call brought no bill.
type Trouble uint8

// The troubles.
const (
	// the call was not sent: breaker open, quota used up, no connection. It costs no attempt
	NotAsked Trouble = iota
	NoAnswer         // sent, but without a response in time: KOS may be slow on this line
	Broken           // KOS responded with an error of its own or with invalid data
	NoSuch           // a business answer: no such bill or line
)

// After applies a failed attempt to the inquiry (ADR 19, ADR 20, ADR 23), its attempts counted already. A business
// answer and the last attempt end it. While the customer is waiting (interactive) a broken response ends it too: the
// customer sees the failure at once and may ask again. Otherwise the background goes on: at once after a customer's own
// attempt timed out, later attempts BackgroundGap apart and not before retryAfter.
func (q Inquiry) After(t Trouble, code fault.Code, interactive bool, retryAfter time.Duration, now time.Time) Inquiry {
	switch {
	case t == NoSuch:
		return q.Fail(code, now)
	case q.Attempts >= MaxAttempts && t == NoAnswer:
		q = q.Fail(fault.ServiceUnavailable, now)
		q.Status = Timeout
	case q.Attempts >= MaxAttempts, t == Broken && interactive:
		return q.Fail(fault.ServiceUnavailable, now)
	case t == NoAnswer && interactive:
		q.NextAttemptAt = now
	case t == NotAsked && retryAfter > 0:
		q.NextAttemptAt = now.Add(retryAfter)
	default:
		q.NextAttemptAt = now.Add(max(BackgroundGap, retryAfter))
	}
	return q
}

// HistoryFilter selects rows of a customer's own history; zero values do not filter. From and To are days in Seoul,
// both included.
type HistoryFilter struct {
	UserID auth.UserID
	Lines  []line.Number // the lines the caller owns, or the one asked for
	From   calendar.Date
	To     calendar.Date
	Status Status // as returned by Public
	Page   int    // from 1
	Size   int
}
