package audit

import "time"

// MaxCounted is the largest number of entries that a page of the audit log counts; page x size goes no further.
const MaxCounted = 10_000

// Filter chooses rows of the audit log for a person to read, the newest first. Empty fields do not limit.
type Filter struct {
	Actor, Action, Subject string
	Since                  time.Time // of rows that were written then or later
	Page                   int       // from 1
	Size                   int
}
