package opsapi

import (
	"context"

	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/core/id"
	"phonebill/core/timeline"
)

// GetTimeline returns what happened to one request.
func (h *Handlers) GetTimeline(
	ctx context.Context, r gen.GetTimelineRequestObject,
) (gen.GetTimelineResponseObject, error) {
	timeline, err := h.Timelines.Timeline(ctx, by(ctx), id.ID(r.RequestID))
	if err != nil {
		return nil, err
	}
	return gen.GetTimeline200JSONResponse{
		Success: true, Message: "요청 처리 이력을 조회하였습니다", Data: toTimeline(r.RequestID, timeline),
	}, nil
}

func toTimeline(request [16]byte, t timeline.Combined) gen.TimelineData {
	out := gen.TimelineData{
		RequestID: request, Kind: toKind(string(t.Kind)), LineNumber: rest.Optional(t.Line), Status: t.Status,
		NextAt: rest.OptionalTime(t.NextAt),
		Events: make([]gen.TimelineEvent, len(t.Events)), Missing: make([]gen.TimelineGap, len(t.Missing)),
		Unreachable: append([]gen.ServiceName{}, t.Unreachable...),
	}
	for i, e := range t.Events {
		out.Events[i] = gen.TimelineEvent{
			At: e.At, Source: gen.TimelineSource(e.Source), What: string(e.Type), Text: e.Text, Facts: e.Facts,
		}
	}
	for i, g := range t.Missing {
		out.Missing[i] = gen.TimelineGap(g)
	}
	return out
}
