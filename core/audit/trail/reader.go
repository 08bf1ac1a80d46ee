package trail

import (
	"context"
	"strconv"

	"phonebill/core/audit"

	"phonebill/ports"
)

// Reader reads the audit log. All fields are required; it is safe for concurrent use.
type Reader struct {
	Pages ports.AuditPages
	Log   Log
}

const actReadLog = "AUDIT_SHOWN" // in the audit log

// List returns one page of the entries that match, the newest first, and how many match (at most audit.MaxCounted). It
// fails with FORBIDDEN for a caller that is not staff. The row that records the reading is durable before the page is
// returned.
func (s *Reader) List(ctx context.Context, by By, f audit.Filter) (page []audit.Entry, total int, err error) {
	action := Action{Action: actReadLog, Subject: f.Subject, Facts: map[string]string{
		"actor": f.Actor, "action": f.Action, "page": strconv.Itoa(f.Page), "size": strconv.Itoa(f.Size),
	}}
	err = s.Log.Show(ctx, by, action, by.Staff(), func(map[string]string) (err error) {
		page, total, err = s.Pages.Page(ctx, f)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return page, total, nil
}
