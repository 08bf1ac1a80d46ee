package operations

// AlertKind is a kind of event that must reach a person at any hour; a closed set, so that alarms can be set up for
// each.
type AlertKind string

// The kinds of alerts.
const (
	BreakerOpened AlertKind = "breaker_opened"         // nothing is asked of that operation for a while
	BreakerClosed AlertKind = "breaker_closed"         // all is well again
	UnknownCode   AlertKind = "kos_unknown_code"       // KOS returned a result code that R-KOS-CODES does not list
	RefusedByKOS  AlertKind = "kos_refuses_us"         // KOS does not understand our request or not know our credential
	OverQuota     AlertKind = "kos_over_quota"         // KOS counts more calls than we do
	LedgerAway    AlertKind = "kos_ledger_away"        // the budget cannot be asked: only the floors are spent
	LedgerBack    AlertKind = "kos_ledger_back"        // the budget can be asked again
	CallUnlogged  AlertKind = "kos_call_log_unwritten" // a call is missing from the processing history
	// the bill database is away: the history of cached bills is kept on this instance's disk
	HistorySpooled AlertKind = "history_spooled"
	HistoryStored  AlertKind = "history_stored"  // all of it is in the bill database
	HistoryRefused AlertKind = "history_refused" // the bill database does not take a row of it, which was put aside
	HistoryDamaged AlertKind = "history_damaged" // what an instance's disk gives back of it is not what was written
	// the AP server got another result of an inquiry than the customer
	HistoryDiffers AlertKind = "history_differs"
	// a stored inquiry or order cannot be opened: no worker processes it
	RowUnreadable  AlertKind = "row_unreadable"
	SealedRefused  AlertKind = "sealed_value_refused"   // a sealed value does not open where it stands: it is not shown
	AuditForged    AlertKind = "audit_log_forged"       // a row of the audit log is not as its writer wrote it
	DeliveryParked AlertKind = "delivery_parked"        // a result was not delivered to the MVNO AP server
	ChangeParked   AlertKind = "change_parked"          // a person must find out the outcome of a plan change
	OftenUnlocked  AlertKind = "account_often_unlocked" // staff unlocked one account many times within a day
	// ids of accounts differ in case alone: these log in by exact spelling
	UserIDsClash          AlertKind = "user_ids_clash"
	ManySearches          AlertKind = "staff_searched_often" // a member of staff used up the exact searches of an hour
	ReconciliationDiffers AlertKind = "books_differ"         // our orders, KOS and the deliveries do not say the same
	LineElsewhere         AlertKind = "line_elsewhere"       // KOS names another customer for a line than its account does
)

// Alert is one event.
type Alert struct {
	Kind    AlertKind
	Subject string // what it is about: an operation, a result code; never personal data
	Note    string // for the reader
}
