package cases

import (
	"context"
	"errors"
	"strings"
	"sync"

	"phonebill/core/audit/trail"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// TimelineSource is the store of timelines of one service.
type TimelineSource struct {
	Service   string // as staff know it
	Timelines ports.Timelines
}

// Timelines asks all sources at once. All fields are required; it is safe for concurrent use.
type Timelines struct {
	Sources []TimelineSource
	Log     trail.Log
}

const actShowTimeline = "TIMELINE_SHOWN" // in the audit log

// Timeline returns a request's timeline, and the services that could not be reached. It fails with NOT_FOUND when no
// service knows the request, SERVICE_UNAVAILABLE when a service that could not be reached might know it, and FORBIDDEN
// for a caller that is not staff. The row of the audit log is durable before the timeline is returned.
func (s *Timelines) Timeline(
	ctx context.Context, by trail.By, request id.ID,
) (found timeline.Combined, err error) {
	action := trail.Action{Action: actShowTimeline, Subject: request.String()}
	err = s.Log.Show(ctx, by, action, by.Staff(), func(facts map[string]string) (err error) {
		if found, err = s.ask(ctx, request); err == nil {
			facts["kind"] = string(found.Kind)
		}
		return err
	})
	if err != nil {
		return timeline.Combined{}, err
	}
	return found, nil
}

func (s *Timelines) ask(ctx context.Context, request id.ID) (found timeline.Combined, err error) {
	timelines, errs := make([]timeline.Timeline, len(s.Sources)), make([]error, len(s.Sources))
	var asked sync.WaitGroup
	for i, b := range s.Sources {
		asked.Go(func() { timelines[i], errs[i] = b.Timelines.ByRequest(ctx, request) })
	}
	asked.Wait()
	var trouble error
	known := false
	for i, err := range errs {
		switch {
		case err == nil:
			found.Timeline, known = timelines[i], true
		case !errors.Is(err, fault.New(fault.ResourceNotFound)):
			found.Unreachable, trouble = append(found.Unreachable, s.Sources[i].Service), errors.Join(trouble, err)
		}
	}
	switch {
	case known:
		return found, nil
	case trouble == nil:
		return found, fault.New(fault.ResourceNotFound)
	default: // it may be theirs
		return found, fault.New(fault.ServiceUnavailable).WithMessage(
			"일부 서비스가 응답하지 않아 요청을 찾을 수 없습니다. 잠시 후 다시 시도해주세요").
			WithDetail("unreachable", strings.Join(found.Unreachable, ", ")).Because(trouble)
	}
}
