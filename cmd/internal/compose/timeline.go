package compose

import (
	"phonebill/adapters/rest/feed"
	"phonebill/adapters/rest/timelines"
	"phonebill/core/personal"
	"phonebill/core/staff/audittrail"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

// stories shows the stories of a service's requests on its internal listener, for the gateway and the command line.
func (p *parts) stories(token personal.Secret, of ports.Timelines) {
	p.inside.Handle(timelines.Path+"/", feed.Protected(token, timelines.Handler(of, p.report)))
}

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
