package product

import (
	"time"

	"phonebill/core/delivery"
	"phonebill/core/id"
)

// DifferenceKind is how orders, KOS and deliveries differ about one order. The set is closed.
type DifferenceKind string

// The kinds.
const (
	OursDoneKOSNot   DifferenceKind = "OURS_DONE_KOS_NOT"    // COMPLETED; KOS refused it or does not know the transaction
	OursFailedKOSHas DifferenceKind = "OURS_FAILED_KOS_DONE" // FAILED or CANCELLED; KOS has it
	OursOpenTooLong  DifferenceKind = "OURS_OPEN_TOO_LONG"   // live or parked for longer than OpenBound
	KOSPlanDiffers   DifferenceKind = "KOS_PLAN_DIFFERS"     // the line's plans do not show its newest completed order
	NotDelivered     DifferenceKind = "NOT_TOLD"             // final, and not delivered to the AP server
	// or with a sequence number that does not follow the one before
	DeliveredWrongly DifferenceKind = "TOLD_TWICE_OR_OUT_OF_ORDER"
)

// DifferenceKinds lists them.
func DifferenceKinds() []DifferenceKind {
	return []DifferenceKind{OursDoneKOSNot, OursFailedKOSHas, OursOpenTooLong, KOSPlanDiffers, NotDelivered,
		DeliveredWrongly}
}

// Bounds of reconciliation: how long an order may be open, and a result undelivered, before it is a difference.
const (
	OpenBound        = 24 * time.Hour
	UndeliveredBound = time.Hour
)

// Difference is one disagreement about one order. It is reported; nothing acts on it.
type Difference struct {
	RequestID id.ID
	Line      string // masked; empty when what is stored cannot be read
	Kind      DifferenceKind
	Found     time.Time
	Text      string // for the operator; nothing personal
}

// DeliveryStatus is the stored delivery state of one order. The zero value belongs to no order.
type DeliveryStatus struct {
	State      delivery.State
	Sequence   int64     // 0 = it has none yet
	Accepted   int       // attempts that were accepted
	AcceptedAt time.Time // of the last accepted one; zero when there is none
	ReplayedAt time.Time // when a person had it delivered again; zero = never
}

// ReconciliationEntry is a final order with its delivery, and with what the line's other orders show about it.
type ReconciliationEntry struct {
	Order             Order
	Delivery          DeliveryStatus
	Previous          DeliveryStatus // the line's event with the next lower number that is kept; zero = none is
	DuplicateSequence bool           // another event of the line has the same number
	Superseded        bool           // a later order of the line was completed
	HasLiveOrder      bool           // another order of the line is live: what the line's plans show may be its work
}

// OpenTooLong judges an order that is not final.
func (o Order) OpenTooLong(now time.Time) (Difference, bool) {
	if o.State.Final() || now.Sub(o.RequestedAt) <= OpenBound {
		return Difference{}, false
	}
	return o.differs(OursOpenTooLong, now, "still "+string(o.State)), true
}

// JudgeDelivery compares the order with its delivery.
func (e ReconciliationEntry) JudgeDelivery(now time.Time) []Difference {
	var all []Difference
	if text := e.notDelivered(now); text != "" {
		all = append(all, e.Order.differs(NotDelivered, now, text))
	}
	if text := e.outOfOrder(); text != "" {
		all = append(all, e.Order.differs(DeliveredWrongly, now, text))
	}
	return all
}

func (e ReconciliationEntry) notDelivered(now time.Time) string {
	since := e.Order.ProcessedAt
	if e.Delivery.ReplayedAt.After(since) {
		since = e.Delivery.ReplayedAt
	}
	switch e.Delivery.State {
	case delivery.Delivered:
		return ""
	case delivery.Parked:
		return "its delivery is parked"
	case delivery.None:
		return "it is final and was never due for delivery"
	case delivery.Pending:
		if now.Sub(since) > UndeliveredBound {
			return "its delivery is pending since " + since.UTC().Format(time.RFC3339)
		}
	}
	return ""
}

// outOfOrder returns what is wrong with the number or the time of a delivery. A replayed event may be out of order and
// accepted twice; where no lower number is kept, retention has removed it.
func (e ReconciliationEntry) outOfOrder() string {
	delivered, before := e.Delivery, e.Previous
	switch {
	case delivered.Sequence == 0:
		return ""
	case e.DuplicateSequence:
		return "another result of the line has its sequence number"
	case delivered.Accepted > 1 && delivered.ReplayedAt.IsZero():
		return "the AP server took it more than once"
	case before.Sequence == 0:
		return ""
	case before.Sequence != delivered.Sequence-1:
		return "the sequence number before it is missing"
	case delivered.State != delivery.Delivered || !before.ReplayedAt.IsZero():
		return ""
	case before.State == delivery.Pending,
		before.State == delivery.Delivered && before.AcceptedAt.After(delivered.AcceptedAt):
		return "it was told before the result that comes before it"
	default:
		return ""
	}
}

// JudgeAnswer compares the order with KOS's answer about its transaction. verdict is false when that decides nothing;
// found only counts with a verdict.
func (e ReconciliationEntry) JudgeAnswer(a Answer, now time.Time) (d Difference, found, verdict bool) {
	has := a.Kind == AnswerAccepted
	if !has && a.Kind != AnswerRefused && a.Kind != AnswerAbsent {
		return Difference{}, false, false
	}
	switch {
	case e.superseded() || !e.Order.State.Final() || has == (e.Order.State == Completed):
		return Difference{}, false, true
	case has:
		return e.Order.differs(OursFailedKOSHas, now, "we say "+string(e.Order.State)+", KOS has applied it"), true, true
	case a.Kind == AnswerRefused:
		return e.Order.differs(OursDoneKOSNot, now, "we say COMPLETED, KOS refused it with "+a.Code), true, true
	default:
		return e.Order.differs(OursDoneKOSNot, now, "we say COMPLETED, KOS does not know the transaction"), true, true
	}
}

// superseded reports whether the order was completed and a later one has replaced it: nothing depends on it any more.
// One that failed here and was replaced may still have been applied, which is the double change that reconciliation
// must find.
func (e ReconciliationEntry) superseded() bool { return e.Superseded && e.Order.State == Completed }

// JudgePlans compares the order with the line's plans where KOS cannot be asked about transactions. A completed order
// must be visible there; for one that was not completed, only a schedule made under its transaction shows that KOS has
// it. verdict is as in JudgeAnswer.
func (e ReconciliationEntry) JudgePlans(c Customer, now time.Time) (d Difference, found, verdict bool) {
	o, next := e.Order, c.Scheduled
	switch {
	case e.Superseded || !o.State.Final():
		return Difference{}, false, true
	case o.State == Completed && (c.PlanCode == o.To || next != nil && o.explains(*next)):
		return Difference{}, false, true
	case e.HasLiveOrder || o.State == Completed && next != nil && o.mayExplain(*next):
		return Difference{}, false, false
	case o.State == Completed:
		return o.differs(KOSPlanDiffers, now, "neither the plan in force nor the scheduled one is "+o.To), true, true
	case next != nil && !next.TransactionID.IsZero() && next.TransactionID == o.TransactionID:
		return o.differs(OursFailedKOSHas, now, "we say "+string(o.State)+", KOS has scheduled it"), true, true
	default:
		return Difference{}, false, o.Sends == 0
	}
}

// JudgeNoLine is JudgePlans for a line that KOS does not know.
func (e ReconciliationEntry) JudgeNoLine(now time.Time) (d Difference, found bool) {
	if e.Superseded || e.Order.State != Completed {
		return Difference{}, false
	}
	return e.Order.differs(KOSPlanDiffers, now, "KOS does not know the line"), true
}

func (o Order) differs(kind DifferenceKind, now time.Time, text string) Difference {
	return Difference{RequestID: o.ID, Line: o.Line.String(), Kind: kind, Found: now, Text: text}
}

// ReconciliationPlace is how far a run has come among the orders in the order in which they became final. Its zero
// value is before all of them.
type ReconciliationPlace struct {
	At time.Time // became final
	ID id.ID
}

// ReconciliationRun is one reconciliation of the orders that became final from From until just before To.
type ReconciliationRun struct {
	ID        id.ID
	Nightly   bool // the service itself began it
	From, To  time.Time
	StartedAt time.Time
	Finished  time.Time           // zero while it goes on
	Reached   ReconciliationPlace // all orders up to it were checked; its zero value: not even the open ones
	Checked   int                 // orders checked
	Asked     int                 // questions that KOS was asked
	Undecided int                 // orders about which KOS's answer decided nothing
	// orders about which KOS was not asked, for the run's time was over or their line cannot be read
	Unasked int
	Found   int   // differences
	Fence   int64 // of the lease under which it is carried on
}

// Share returns how much of the run is done, from 0 to 1, judged by the time up to which its orders were checked; 0 as
// long as nothing is known.
func (r ReconciliationRun) Share() float64 {
	window := r.To.Sub(r.From)
	if window <= 0 || !r.Reached.At.After(r.From) {
		return 0
	}
	return min(1, float64(r.Reached.At.Sub(r.From))/float64(window))
}

// MaxDifferencesShown is how many differences of a run are shown.
const MaxDifferencesShown = 1000

// ReconciliationReport is a run with its differences, those of the oldest orders first, at most MaxDifferencesShown.
type ReconciliationReport struct {
	Run         ReconciliationRun
	Differences []Difference
}
