package cases_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/staff/audittrail"
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
		Books: []cases.TimelineSource{{Service: "bill-inquiry", Of: bills}, {Service: "product-change", Of: changes}},
		Log: audittrail.Log{
			Audit: l, Now: func() time.Time { return noon }, NewID: func() id.ID { return id.ID{} }, Report: func(context.Context, error) {},
		},
	}
}

func told(kind timeline.Kind) timeline.Told { return timeline.Told{Story: timeline.Story{Kind: kind}} }

func TestTheServiceThatKnowsTells(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bills, changes memory.Timelines
		want           timeline.Told
		code           fault.Code
	}{
		"an inquiry": {bills: memory.Timelines{mine: {Kind: timeline.Bill}}, want: told(timeline.Bill)},
		"a change":   {changes: memory.Timelines{mine: {Kind: timeline.Change}}, want: told(timeline.Change)},
		"nobody's":   {code: fault.ResourceNotFound},
	} {
		l := &timelineLog{}
		got, err := openTimelines(l, &c.bills, &c.changes).Timeline(t.Context(), operator, mine)
		require.Equal(t, c.want, got, name)
		row := audit.Entry{
			At: noon, Actor: "operator-kim", Action: "TIMELINE_SHOWN", Subject: mine.String(), Outcome: audit.Done, IP: "203.0.113.7",
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

func (silent) Of(context.Context, id.ID) (timeline.Story, error) { return timeline.Story{}, away }

func TestAServiceThatIsAwayIsToldOf(t *testing.T) {
	t.Parallel()
	s := openTimelines(&timelineLog{}, &memory.Timelines{mine: {Kind: timeline.Bill}}, nil)
	s.Books[1].Of = silent{}
	got, err := s.Timeline(t.Context(), operator, mine)
	require.NoError(t, err)
	require.Equal(t, timeline.Told{Story: timeline.Story{Kind: timeline.Bill}, Unheard: []string{"product-change"}}, got)

	got, err = s.Timeline(t.Context(), operator, id.ID{15: 2})
	require.ErrorIs(t, err, away, "it may be theirs")
	require.Equal(t, map[string]string{"unreachable": "product-change"}, fault.From(err).Details())
	require.Empty(t, got)
	s.Books[0].Of = silent{}
	_, err = s.Timeline(t.Context(), operator, mine)
	require.Equal(t, map[string]string{"unreachable": "bill-inquiry, product-change"}, fault.From(err).Details())
}

func TestWhoLooksIsOnRecordOrSeesNothing(t *testing.T) {
	t.Parallel()
	l := &timelineLog{}
	s := openTimelines(l, &memory.Timelines{mine: {Kind: timeline.Bill}}, &memory.Timelines{})
	_, err := s.Timeline(t.Context(), audittrail.By{Name: "x", Roles: []auth.Role{auth.Customer}}, mine)
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
	require.Equal(t, audit.Outcome(fault.PermissionDenied), l.rows[0].Outcome)
	l.err = errors.New("no audit log")
	got, err := s.Timeline(t.Context(), operator, mine)
	require.ErrorIs(t, err, l.err)
	require.Empty(t, got)
}
