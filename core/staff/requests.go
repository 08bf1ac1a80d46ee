// Package staff holds the requests of customers as staff see them: bill inquiries and plan changes, live and past ones.
// Begin with Request (requests.go).
package staff

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
)

// Kind of request.
type Kind string

// The kinds.
const (
	Change  Kind = "CHANGE"
	Inquiry Kind = "INQUIRY"
)

// Kinds lists every kind.
func Kinds() []Kind { return []Kind{Change, Inquiry} }

// States lists the states in which a request of the kind is stored.
func (k Kind) States() []string {
	switch k {
	case Change:
		return []string{
			string(product.Requested), string(product.Validated), string(product.Dispatched), string(product.Unknown),
			string(product.Parked), string(product.Completed), string(product.Failed), string(product.Cancelled),
		}
	case Inquiry:
		return []string{string(bill.Processing), string(bill.Completed), string(bill.Failed), string(bill.Timeout)}
	}
	return nil
}

// States lists the states of all kinds, each once.
func States() (all []string) {
	for _, k := range Kinds() {
		for _, s := range k.States() {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// Request is one request as staff see it.
type Request struct {
	ID          id.ID
	Kind        Kind
	UserID      auth.UserID
	Line        string // masked; empty when what is stored cannot be read
	State       string // as it is stored
	Subject     string // the month asked for, or the code of the plan wished for
	RequestedAt time.Time
	ProcessedAt time.Time // zero until it has ended
	NextAt      time.Time // time of the next attempt; zero when nothing is left to do, or a person has to do it
	Code        string    // why it failed, or what KOS said; empty until known
	TraceID     string    // of the call that made it; empty for those of older releases
	Cancellable bool      // a customer could take it back now
}

// MaxCounted is the largest number of requests that a list counts; page x size goes no further.
const MaxCounted = 10_000

// Filter chooses requests. Empty fields do not limit. The newest requests come first.
type Filter struct {
	Line    line.Number
	UserID  auth.UserID
	State   string
	TraceID string
	Page    int // from 1
	Size    int
}

var traceID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// ParseTraceID accepts a W3C trace id as error responses carry it, in any case; else VALIDATION_ERROR on traceId.
func ParseTraceID(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if !traceID.MatchString(s) {
		return "", fault.InvalidField("traceId", "16진수 32자리여야 합니다")
	}
	return s, nil
}

// Check refuses an unknown kind and a state that no request of the kind is in: VALIDATION_ERROR names the field.
func (f Filter) Check(k Kind) error {
	if !slices.Contains(Kinds(), k) {
		return fault.InvalidField("kind", "CHANGE, INQUIRY 중 하나여야 합니다")
	}
	if f.State != "" && !slices.Contains(k.States(), f.State) {
		return fault.InvalidField("state", strings.Join(k.States(), ", ")+" 중 하나여야 합니다")
	}
	return nil
}

// OfOrder returns an order as staff see it.
func OfOrder(o product.Order) Request {
	r := Request{
		ID: o.ID, Kind: Change, UserID: o.UserID, Line: o.Line.String(), State: string(o.State), Subject: o.To,
		RequestedAt: o.RequestedAt, ProcessedAt: o.ProcessedAt, Code: o.ResultCode, TraceID: o.TraceID,
	}
	if !o.State.Final() && o.State != product.Parked {
		r.NextAt = o.NextAttemptAt
	}
	_, err := o.CancelByCustomer(o.RequestedAt)
	r.Cancellable = err == nil
	return r
}

// OfInquiry returns an inquiry as staff see it. No customer can take one back.
func OfInquiry(q bill.Inquiry) Request {
	r := Request{
		ID: q.ID, Kind: Inquiry, UserID: q.UserID, Line: q.Line.String(), State: string(q.Status), Subject: q.Month.String(),
		RequestedAt: q.RequestedAt, ProcessedAt: q.ProcessedAt, Code: string(q.FailureCode), TraceID: q.TraceID,
	}
	if !q.Status.Final() {
		r.NextAt = q.NextAttemptAt
	}
	return r
}
