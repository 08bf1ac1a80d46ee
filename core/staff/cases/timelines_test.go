package cases_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/audit"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/staff/cases"
	"phonebill/core/timeline"
)

var (
	away = fault.New(fault.ServiceUnavailable)
)

type timelineLog struct {
	rows []audit.Entry
	err  error
}

func (l *timelineLog) Append(_ context.Context, e audit.Entry) error {
	l.rows = append(l.rows, e)
	return l.err
}

func openTimelines(l *timelineLog, bills, changes *memory.Timelines) *cases.Timelines {
	return &cases.Timelines{
		Sources: []cases.TimelineSource{{Service: "bill-inquiry", Timelines: bills},
			{Service: "product-change", Timelines: changes}},
		Log: trail.Log{
			Audit: l, Now: func() time.Time { return noon }, NewID: func() id.ID { return id.ID{} },
			Report: func(context.Context, error) {},
		},
	}
}

func combined(kind timeline.Kind) timeline.Combined {
	return timeline.Combined{Timeline: timeline.Timeline{Kind: kind}}
}

func TestTheKnowingServiceReturnsTheTimeline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bills, changes memory.Timelines
		want           timeline.Combined
		code           fault.Code
	}{
		"an inquiry": {bills: memory.Timelines{ownLine: {Kind: timeline.Bill}}, want: combined(timeline.Bill)},
		"a change":   {changes: memory.Timelines{ownLine: {Kind: timeline.Change}}, want: combined(timeline.Change)},
		"unknown":    {code: fault.ResourceNotFound},
	} {
		l := &timelineLog{}
		got, err := openTimelines(l, &c.bills, &c.changes).Timeline(t.Context(), operator, ownLine)
		require.Equal(t, c.want, got, name)
		row := audit.Entry{
			At: noon, Actor: "operator-kim", Action: "TIMELINE_SHOWN", Subject: ownLine.String(), Outcome: audit.Done,
			IP:     "203.0.113.7",
			Detail: `{"kind":"` + string(c.want.Kind) + `"}`,
		}
		if c.code != "" {
			require.ErrorIs(t, err, fault.New(c.code), name)
			row.Outcome, row.Detail = audit.Outcome(c.code), `{}`
		} else {
			require.NoError(t, err, name)
		}
		require.Equal(t, []audit.Entry{row}, l.rows, name)
	}
}

// silent is a service that cannot be asked.
type silent struct{}

func (silent) ByRequest(context.Context, id.ID) (timeline.Timeline, error) {
	return timeline.Timeline{}, away
}

func TestAnUnreachableServiceIsNamed(t *testing.T) {
	t.Parallel()
	s := openTimelines(&timelineLog{}, &memory.Timelines{ownLine: {Kind: timeline.Bill}}, nil)
	s.Sources[1].Timelines = silent{}
	got, err := s.Timeline(t.Context(), operator, ownLine)
	require.NoError(t, err)
	require.Equal(t, timeline.Combined{Timeline: timeline.Timeline{Kind: timeline.Bill},
		Unreachable: []string{"product-change"}}, got)

	got, err = s.Timeline(t.Context(), operator, id.ID{15: 2})
	require.ErrorIs(t, err, away, "it may be theirs")
	require.Equal(t, map[string]string{"unreachable": "product-change"}, fault.From(err).Details())
	require.Empty(t, got)
	s.Sources[0].Timelines = silent{}
	_, err = s.Timeline(t.Context(), operator, ownLine)
	require.Equal(t, map[string]string{"unreachable": "bill-inquiry, product-change"}, fault.From(err).Details())
}

func TestEveryTimelineReadIsAudited(t *testing.T) {
	t.Parallel()
	l := &timelineLog{}
	s := openTimelines(l, &memory.Timelines{ownLine: {Kind: timeline.Bill}}, &memory.Timelines{})
	_, err := s.Timeline(t.Context(), trail.By{Name: "x", Roles: []auth.Role{auth.Customer}}, ownLine)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	require.Equal(t, audit.Outcome(fault.PermissionDenied), l.rows[0].Outcome)
	l.err = errors.New("no audit log")
	got, err := s.Timeline(t.Context(), operator, ownLine)
	require.ErrorIs(t, err, l.err)
	require.Empty(t, got)
}
