package trail_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
)

var noon = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

// rows is an audit log.
type rows struct {
	all  []audit.Entry
	errs []error // of the next appends
}

func (r *rows) Append(ctx context.Context, e audit.Entry) error {
	if len(r.errs) > 0 {
		err := r.errs[0]
		r.errs = r.errs[1:]
		if err != nil {
			return err
		}
	}
	r.all = append(r.all, e)
	return ctx.Err()
}

func open(r *rows, reported *[]error) trail.Log {
	return trail.Log{
		Audit: r, Now: func() time.Time { return noon }, NewID: func() id.ID { return id.ID{15: 9} },
		Report: func(_ context.Context, err error) { *reported = append(*reported, err) },
	}
}

var (
	kim          = trail.By{Name: "operator-kim", Roles: []auth.Role{auth.Operator}, IP: "203.0.113.7"}
	sampleAction = trail.Action{Action: "X", Subject: "s", Reason: "because",
		Facts: map[string]string{"outcome": "FAILED"}}
)

func TestAnActionIsBetweenTwoRows(t *testing.T) {
	t.Parallel()
	var reported []error
	trouble := errors.New("trouble")
	for want, err := range map[audit.Outcome]error{
		audit.Done: nil, audit.Outcome(fault.StateConflict): fault.New(fault.StateConflict),
		audit.Outcome(fault.InternalServerError): trouble,
	} {
		r := &rows{}
		ctx, cancel := context.WithCancel(t.Context())
		got := open(r, &reported).Do(ctx, kim, sampleAction, nil, func(facts map[string]string) error {
			require.Len(t, r.all, 1, "the intent is on record before")
			facts["result"] = "PROPOSED"
			cancel()
			return err
		})
		require.ErrorIs(t, got, err)
		intent := audit.Entry{
			At: noon, Actor: "operator-kim", Action: "X", Subject: "s", Reason: "because", Outcome: audit.Intended,
			IP:     "203.0.113.7",
			Detail: `{"call":"00000000-0000-0000-0000-000000000009","outcome":"FAILED"}`,
		}
		after := intent
		after.Outcome, after.Detail = want,
			`{"call":"00000000-0000-0000-0000-000000000009","outcome":"FAILED","result":"PROPOSED"}`
		require.Equal(t, []audit.Entry{intent, after}, r.all)
	}
	require.Empty(t, reported, "also when the caller has hung up")
	require.Equal(t, map[string]string{"outcome": "FAILED"}, sampleAction.Facts, "the caller's facts stay unchanged")
}

func TestWithoutTheFirstRowNothingIsDone(t *testing.T) {
	t.Parallel()
	var reported []error
	away := errors.New("away")
	never := func(map[string]string) error { require.Fail(t, "done"); return nil }
	require.ErrorIs(t, open(&rows{errs: []error{away}}, &reported).Do(t.Context(), kim, sampleAction, nil, never), away)

	r, refused := &rows{}, fault.New(fault.PermissionDenied)
	require.ErrorIs(t, open(r, &reported).Do(t.Context(), kim, sampleAction, refused, never), refused)
	require.Len(t, r.all, 1)
	require.Equal(t, audit.Outcome(fault.PermissionDenied), r.all[0].Outcome)
	err := open(&rows{errs: []error{away}}, &reported).Do(t.Context(), kim, sampleAction, refused, never)
	require.ErrorIs(t, err, refused)
	require.ErrorIs(t, err, away)
	require.Empty(t, reported)

	r = &rows{errs: []error{nil, away}}
	require.NoError(t, open(r, &reported).Do(t.Context(), kim, sampleAction, nil,
		func(map[string]string) error { return nil }))
	require.Equal(t, []error{away}, reported, "the intent is recorded; the missing outcome is reported")
}

func TestWhoIsStaff(t *testing.T) {
	t.Parallel()
	require.NoError(t, kim.Staff())
	require.NoError(t, trail.By{Roles: []auth.Role{auth.Customer, auth.Admin}}.Staff())
	require.ErrorIs(t, trail.By{Roles: []auth.Role{auth.Customer}}.Staff(), fault.New(fault.PermissionDenied))
	require.ErrorIs(t, trail.By{}.Staff(), fault.New(fault.PermissionDenied))
}
