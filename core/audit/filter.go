package audit

import "time"

// MostCounted is as far as pages of the audit log are counted; page x size goes no further.
const MaxCounted = 10_000

// Filter chooses rows of the audit log for a person to read, the newest first. Empty fields do not limit.
type Filter struct {
	Actor, Action, Subject string
	Since                  time.Time // of rows that were written then or later
	Page                   int       // from 1
	Size                   int
}
