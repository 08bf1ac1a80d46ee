// Package alert names the events that must reach a person at any hour.
package alert

// Kind of event; a closed set, so that alarms can be set up for each.
type Kind string

// The kinds.
const (
	BreakerOpened Kind = "breaker_opened"         // nothing is asked of that operation for a while
	BreakerClosed Kind = "breaker_closed"         // all is well again
	UnknownCode   Kind = "kos_unknown_code"       // KOS returned a result code that R-KOS-CODES does not list
	Refused       Kind = "kos_refuses_us"         // KOS does not understand our request or not know our credential
	OverQuota     Kind = "kos_over_quota"         // KOS counts more calls than we do
	LedgerAway    Kind = "kos_ledger_away"        // the budget cannot be asked: only the floors are spent
	LedgerBack    Kind = "kos_ledger_back"        // the budget can be asked again
	CallUnlogged  Kind = "kos_call_log_unwritten" // a call is missing from the processing history
	// the bill database is away: the history of cached bills is kept on this instance's disk
	HistorySpooled Kind = "history_spooled"
	HistoryStored  Kind = "history_stored"  // all of it is in the bill database
	HistoryRefused Kind = "history_refused" // the bill database does not take a row of it, which was put aside
	HistoryDamaged Kind = "history_damaged" // what an instance's disk gives back of it is not what was written
	// the AP server got another result of an inquiry than the customer
	HistoryDiffers Kind = "history_differs"
	// a stored inquiry or order cannot be opened: no worker processes it
	RowUnreadable  Kind = "row_unreadable"
	SealedRefused  Kind = "sealed_value_refused"   // a sealed value does not open where it stands: it is not shown
	AuditForged    Kind = "audit_log_forged"       // a row of the audit log is not as its writer wrote it
	DeliveryParked Kind = "delivery_parked"        // a result was not delivered to the MVNO AP server
	ChangeParked   Kind = "change_parked"          // a person must find out the outcome of a plan change
	OftenUnlocked  Kind = "account_often_unlocked" // staff unlocked one account many times within a day
	// ids of accounts differ in case alone: these log in by exact spelling
	UserIDsClash          Kind = "user_ids_clash"
	ManySearches          Kind = "staff_searched_often" // a member of staff used up the exact searches of an hour
	ReconciliationDiffers Kind = "books_differ"         // our orders, KOS and the deliveries do not say the same
	LineElsewhere         Kind = "line_elsewhere"       // KOS names another customer for a line than its account does
)

// Alert is one event.
type Alert struct {
	Kind    Kind
	Subject string // what it is about: an operation, a result code; never personal data
	Note    string // for the reader
}
