package purge

// Years for which records are kept at least, and are deleted after: a carrier's duty under Korean privacy rules
// (R-RETENTION). The stores enforce it too.
const (
	Inquiries = 2 // requests of customers, and their deliveries to the MVNO AP server
	Bills     = 2 // versions of bills that newer ones have replaced; the newest is kept forever (ADR 23)
	Changes   = 3
	KOSCalls  = 1
	Logins    = 2
)
