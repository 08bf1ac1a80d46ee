package gateway

import (
	"context"

	"phonebill/adapters/internalclient"
	"phonebill/cmd/internal/compose/service"
	"phonebill/core/audit/trail"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

// Staff is what staff see of the running services and do to them, through the services' internal API, for the gateway
// and for the command line alike.
type Staff struct {
	services *internalclient.Services
	audit    ports.AuditLog
	report   ports.Report
	tools    service.Tools
}

// NewStaff returns what staff do to these instances. to is how to find and reach them; audit records what staff do, and
// may be nil for what is not recorded: the overview and the reconciliations.
func NewStaff(
	to internalclient.Access, i Instances, audit ports.AuditLog, report ports.Report, t service.Tools,
) (*Staff, error) {
	services, err := internalclient.NewServices(to,
		internalclient.Service{Name: service.Gateway, Origins: i.Gateway},
		internalclient.Service{Name: service.Auth, Origins: i.Auth},
		internalclient.Service{Name: service.Bill, Origins: i.Bill},
		internalclient.Service{Name: service.Product, Origins: i.Product})
	if err != nil {
		return nil, err
	}
	return &Staff{services: services, audit: audit, report: report, tools: t}, nil
}

func (s *Staff) log() trail.Log {
	return trail.Log{Audit: s.audit, Report: s.report, Now: s.tools.Now, NewID: s.tools.NewID}
}

// lookUp finds all instances, so that one that goes while nobody looks is known when somebody does.
func (s *Staff) lookUp(ctx context.Context) (done int, err error) {
	s.services.All(ctx)
	return 0, nil
}

// Overview is the state of the instances.
func (s *Staff) Overview() *cases.Overview {
	return &cases.Overview{Instances: s.services, Report: s.report}
}

// Deliveries is where staff look at deliveries and have one sent again.
func (s *Staff) Deliveries() *cases.Deliveries {
	return &cases.Deliveries{
		Bills: s.services.Deliveries(service.Bill), Changes: s.services.Deliveries(service.Product),
		Audit: s.audit, Report: s.report, Now: s.tools.Now, NewID: s.tools.NewID,
	}
}

// ParkedChanges is where staff decide on parked orders.
func (s *Staff) ParkedChanges() *cases.ParkedChanges {
	return &cases.ParkedChanges{Changes: s.services.ParkedChanges(service.Product), Log: s.log()}
}

// Timelines is where staff look at the timeline of one request.
func (s *Staff) Timelines() *cases.Timelines {
	return &cases.Timelines{
		Sources: []cases.TimelineSource{
			{Service: service.Bill, Timelines: s.services.Timelines(service.Bill)},
			{Service: service.Product, Timelines: s.services.Timelines(service.Product)},
		},
		Log: s.log(),
	}
}

// Requests is where staff find customers' requests and cancel one.
func (s *Staff) Requests(searches ports.SearchBudget) *cases.Requests {
	return &cases.Requests{
		Inquiries: s.services.Requests(service.Bill), Changes: s.services.Requests(service.Product), Searches: searches,
		Log: s.log(),
	}
}

// Maintenance is where staff switch customers' operations off.
func (s *Staff) Maintenance(at ports.MaintenanceSwitch) *cases.Maintenance {
	return &cases.Maintenance{Switch: at, Log: s.log()}
}

// Reconciliations is where staff have orders, KOS and deliveries compared.
func (s *Staff) Reconciliations() ports.Reconciler {
	return s.services.Reconciliations(service.Product)
}
