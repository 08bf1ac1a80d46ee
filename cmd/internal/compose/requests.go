package compose

import (
	"phonebill/core/personal"
	"phonebill/core/staff/audittrail"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

// RequestDesk wires where staff find customers' requests and take one back.
func RequestDesk(
	i Instances, token personal.Secret, log ports.AuditLog, searches ports.SearchBudget, report ports.Report, t Tools,
) (*cases.Requests, error) {
	link, err := linkTo(i, token)
	if err != nil {
		return nil, err
	}
	return &cases.Requests{
		Inquiries: link.Requests(billService), Changes: link.Requests(productService), Searches: searches,
		Log: audittrail.Log{Audit: log, Report: report, Now: t.Now, NewID: t.NewID},
	}, nil
}
