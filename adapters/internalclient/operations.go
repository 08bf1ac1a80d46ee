package internalclient

import (
	"context"
	"net/http"
	"time"

	gen "phonebill/adapters/internalclient/internal/internalgen"
	"phonebill/core/delivery"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/staff"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// readTimeout is how long an instance may take to read its database, changeTimeout to change it and to have copies
// dropped.
const (
	readTimeout   = 3 * time.Second
	changeTimeout = 5 * time.Second
)

// Deliveries implements ports.Deliveries for one service. SERVICE_UNAVAILABLE when no instance answers.
type Deliveries struct{ service service }

var _ ports.Deliveries = (*Deliveries)(nil)

// Deliveries returns those of the named service.
func (s *Services) Deliveries(name string) *Deliveries {
	return &Deliveries{service{s, name, readTimeout}}
}

// List implements ports.Deliveries.
func (d *Deliveries) List(ctx context.Context, f delivery.Filter) ([]delivery.Listed, int, error) {
	params := &gen.ListDeliveriesParams{Page: f.Page, Size: f.Size}
	if f.State != "" {
		params.State = new(string(f.State))
	}
	if !f.Since.IsZero() {
		params.Since = new(f.Since.UTC())
	}
	page, err := askAny[gen.DeliveryPage](ctx, d.service,
		func(ctx context.Context, to *gen.Client) (*http.Response, error) {
			return to.ListDeliveries(ctx, params)
		})
	if err != nil {
		return nil, 0, err
	}
	return convertPage(page.Items, page.Total, fromDelivery)
}

// Replay implements ports.Deliveries; the time is that of the instance.
func (d *Deliveries) Replay(ctx context.Context, event id.ID, _ time.Time) error {
	_, err := d.service.ask(ctx, http.StatusNoContent, func(ctx context.Context, to *gen.Client) (*http.Response, error) {
		return to.ReplayDelivery(ctx, event.String())
	}, always)
	return err
}

// Timelines implements ports.Timelines for one service. SERVICE_UNAVAILABLE when no instance answers.
type Timelines struct{ service service }

var _ ports.Timelines = (*Timelines)(nil)

// Timelines returns those of the named service's requests.
func (s *Services) Timelines(name string) *Timelines {
	return &Timelines{service{s, name, readTimeout}}
}

// ByRequest implements ports.Timelines.
func (t *Timelines) ByRequest(ctx context.Context, request id.ID) (timeline.Timeline, error) {
	answer, err := askAny[gen.Timeline](ctx, t.service,
		func(ctx context.Context, to *gen.Client) (*http.Response, error) {
			return to.GetTimeline(ctx, request.String())
		})
	if err != nil {
		return timeline.Timeline{}, err
	}
	return fromTimeline(answer), nil
}

// Requests implements ports.Requests for one service. SERVICE_UNAVAILABLE when no instance answers.
type Requests struct{ service service }

var _ ports.Requests = (*Requests)(nil)

// Requests returns those of the named service.
func (s *Services) Requests(name string) *Requests { return &Requests{service{s, name, changeTimeout}} }

// List implements ports.RequestList. It changes nothing, so that every instance may be asked.
func (r *Requests) List(ctx context.Context, f staff.Filter) ([]staff.Request, int, error) {
	filter := gen.RequestFilter{UserID: string(f.UserID), State: f.State, TraceID: f.TraceID, Page: f.Page, Size: f.Size}
	if f.Line != (line.Number{}) {
		filter.Line = f.Line.Digits()
	}
	page, err := askAny[gen.RequestPage](ctx, r.service,
		func(ctx context.Context, to *gen.Client) (*http.Response, error) {
			return to.SearchRequests(ctx, filter)
		})
	if err != nil {
		return nil, 0, err
	}
	return convertPage(page.Items, page.Total, fromRequest)
}

// Cancel implements ports.Requests.
func (r *Requests) Cancel(ctx context.Context, request id.ID) error {
	_, err := askOnce[gen.Done](ctx, r.service,
		func(ctx context.Context, to *gen.Client) (*http.Response, error) {
			return to.CancelRequest(ctx, request.String())
		})
	return err
}
