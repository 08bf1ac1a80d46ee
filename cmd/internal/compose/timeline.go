package compose

import (
	"phonebill/core/personal"
	"phonebill/core/staff/audittrail"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

// Timelines wires where staff look at one request's story.
func Timelines(i Instances, token personal.Secret, log ports.AuditLog, report ports.Report, t Tools) (*cases.Timelines, error) {
	link, err := linkTo(i, token)
	if err != nil {
		return nil, err
	}
	return &cases.Timelines{
		Books: []cases.TimelineSource{
			{Service: billService, Of: link.Timelines(billService)}, {Service: productService, Of: link.Timelines(productService)},
		},
		Log: audittrail.Log{Audit: log, Report: report, Now: t.Now, NewID: t.NewID},
	}, nil
}
