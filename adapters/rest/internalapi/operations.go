package internalapi

import (
	"context"

	gen "phonebill/adapters/rest/internal/internalgen"
	"phonebill/core/fault"
)

// GetStatus returns what this instance knows of itself.
func (h *Handlers) GetStatus(ctx context.Context, _ gen.GetStatusRequestObject) (gen.GetStatusResponseObject, error) {
	return gen.GetStatus200JSONResponse(toStatus(h.Status(ctx))), nil
}

// ListDeliveries returns one page of the service's deliveries.
func (h *Handlers) ListDeliveries(
	ctx context.Context, r gen.ListDeliveriesRequestObject,
) (gen.ListDeliveriesResponseObject, error) {
	f, err := toDeliveryFilter(r.Params)
	if err != nil {
		return nil, err
	}
	page, total, err := h.Deliveries.List(ctx, f)
	if err != nil {
		return nil, err
	}
	return gen.ListDeliveries200JSONResponse{Total: total, Items: convertAll(page, toDelivery)}, nil
}

// ReplayDelivery makes a delivery pending again.
func (h *Handlers) ReplayDelivery(
	ctx context.Context, r gen.ReplayDeliveryRequestObject,
) (gen.ReplayDeliveryResponseObject, error) {
	if err := h.Deliveries.Replay(ctx, r.ID, h.Now()); err != nil {
		return nil, err
	}
	return gen.ReplayDelivery204Response{}, nil
}

// GetTimeline returns what happened to a request so far.
func (h *Handlers) GetTimeline(
	ctx context.Context, r gen.GetTimelineRequestObject,
) (gen.GetTimelineResponseObject, error) {
	timeline, err := h.Timelines.ByRequest(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return gen.GetTimeline200JSONResponse(toTimeline(timeline)), nil
}

// SearchRequests returns one page of the requests that match a filter.
func (h *Handlers) SearchRequests(
	ctx context.Context, r gen.SearchRequestsRequestObject,
) (gen.SearchRequestsResponseObject, error) {
	f, err := toRequestFilter(*r.Body, h.RequestKind)
	if err != nil {
		return nil, err
	}
	page, total, err := h.Requests.List(ctx, f)
	if err != nil {
		return nil, err
	}
	return gen.SearchRequests200JSONResponse{Total: total, Items: convertAll(page, toRequest)}, nil
}

// CancelRequest cancels a request where its customer could.
func (h *Handlers) CancelRequest(
	ctx context.Context, r gen.CancelRequestRequestObject,
) (gen.CancelRequestResponseObject, error) {
	if err := h.Requests.Cancel(ctx, r.ID); err != nil {
		return nil, err
	}
	return gen.CancelRequest200JSONResponse{}, nil
}

// checkPage refuses a page that does not exist.
func checkPage(page, size int) error {
	if page < 1 || size < 1 {
		return fault.New(fault.ValidationError)
	}
	return nil
}
