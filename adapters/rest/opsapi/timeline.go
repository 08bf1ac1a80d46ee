package opsapi

import (
	"context"

	gen "phonebill/adapters/rest/internal/opsgen"
	"phonebill/core/id"
	"phonebill/core/timeline"
)

// GetTimeline answers one request's story.
func (h *Handlers) GetTimeline(ctx context.Context, r gen.GetTimelineRequestObject) (gen.GetTimelineResponseObject, error) {
	told, err := h.Timelines.Timeline(ctx, by(ctx), id.ID(r.RequestID))
	if err != nil {
		return nil, err
	}
	return gen.GetTimeline200JSONResponse{Success: true, Message: "요청 처리 이력을 조회하였습니다", Data: toTimeline(r.RequestID, told)}, nil
}

func toTimeline(request [16]byte, t timeline.Told) gen.TimelineData {
	out := gen.TimelineData{
		RequestID: request, Kind: toKind(string(t.Kind)), Status: t.Status, NextAt: moment(t.NextAt),
		Events: make([]gen.TimelineEvent, len(t.Events)), Missing: make([]gen.TimelineGap, len(t.Missing)),
		Unreachable: append([]gen.ServiceName{}, t.Unheard...),
	}
	if t.Line != "" {
		out.LineNumber = new(t.Line)
	}
	for i, e := range t.Events {
		out.Events[i] = gen.TimelineEvent{At: e.At, Source: gen.TimelineSource(e.Source), What: string(e.What), Text: e.Text, Facts: e.Facts}
	}
	for i, g := range t.Missing {
		out.Missing[i] = gen.TimelineGap(g)
	}
	return out
}
