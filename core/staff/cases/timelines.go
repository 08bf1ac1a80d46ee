package cases

import (
	"context"
	"errors"
	"strings"
	"sync"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/staff/audittrail"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// Book is what one service knows.
type TimelineSource struct {
	Service   string // as staff know it
	Timelines ports.Timelines
}

// Service looks into all books at once. All fields are required; it is safe for concurrent use.
type Timelines struct {
	Sources []TimelineSource
	Log     audittrail.Log
}

const actShowTimeline = "TIMELINE_SHOWN" // in the audit log

// Timeline answers a request's story, and the services that could not be asked. NOT_FOUND when no service knows the request,
// SERVICE_UNAVAILABLE when those that could be asked do not and another one might; FORBIDDEN for who is not staff. The row of the audit log
// is there before the answer.
func (s *Timelines) Timeline(ctx context.Context, by audittrail.By, request id.ID) (told timeline.Combined, err error) {
	deed := audittrail.Action{Action: actShowTimeline, Subject: request.String()}
	err = s.Log.Show(ctx, by, deed, by.Staff(), func(facts map[string]string) (err error) {
		if told, err = s.ask(ctx, request); err == nil {
			facts["kind"] = string(told.Kind)
		}
		return err
	})
	if err != nil {
		return timeline.Combined{}, err
	}
	return told, nil
}

func (s *Timelines) ask(ctx context.Context, request id.ID) (told timeline.Combined, err error) {
	stories, errs := make([]timeline.Timeline, len(s.Sources)), make([]error, len(s.Sources))
	var asked sync.WaitGroup
	for i, b := range s.Sources {
		asked.Go(func() { stories[i], errs[i] = b.Timelines.ByRequest(ctx, request) })
	}
	asked.Wait()
	var trouble error
	known := false
	for i, err := range errs {
		switch {
		case err == nil:
			told.Timeline, known = stories[i], true
		case !errors.Is(err, fault.New(fault.ResourceNotFound)):
			told.Unreachable, trouble = append(told.Unreachable, s.Sources[i].Service), errors.Join(trouble, err)
		}
	}
	switch {
	case known:
		return told, nil
	case trouble == nil:
		return told, fault.New(fault.ResourceNotFound)
	default: // it may be theirs
		return told, fault.New(fault.ServiceUnavailable).WithMessage("일부 서비스가 응답하지 않아 요청을 찾을 수 없습니다. 잠시 후 다시 시도해주세요").
			WithDetail("unreachable", strings.Join(told.Unreachable, ", ")).Because(trouble)
	}
}
