package compose

import (
	"phonebill/adapters/rest/feed"
	restrequests "phonebill/adapters/rest/requests"
	"phonebill/core/audit/record"
	"phonebill/core/personal"
	"phonebill/core/requests"
	"phonebill/core/requests/desk"
	"phonebill/ports"
)

// requestsOf shows a service's requests on its internal listener, for the gateway and the command line.
func (p *parts) requestsOf(token personal.Secret, kind requests.Kind, of ports.Requests) {
	p.inside.Handle(restrequests.Path+"/", feed.Protected(token, restrequests.Handler(of, kind, p.report)))
}

// RequestDesk wires where staff find customers' requests and take one back.
func RequestDesk(
	i Instances, token personal.Secret, log ports.AuditLog, searches ports.SearchBudget, report ports.Report, t Tools,
) (*desk.Service, error) {
	link, err := linkTo(i, token)
	if err != nil {
		return nil, err
	}
	return &desk.Service{
		Inquiries: link.Requests(billService), Changes: link.Requests(productService), Searches: searches,
		Log: record.Log{Audit: log, Report: report, Now: t.Now, NewID: t.NewID},
	}, nil
}
