package trail_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/audit"
	"phonebill/core/fault"
)

func TestAReadHasOneAuditRow(t *testing.T) {
	t.Parallel()
	for want, err := range map[audit.Outcome]error{
		audit.Done: nil, audit.Outcome(fault.ResourceNotFound): fault.New(fault.ResourceNotFound),
	} {
		r, reported := &rows{}, []error{}
		ctx, cancel := context.WithCancel(t.Context())
		got := open(r, &reported).Show(ctx, kim, sampleAction, nil, func(facts map[string]string) error {
			require.Empty(t, r.all)
			facts["kind"] = "bill"
			cancel()
			return err
		})
		require.ErrorIs(t, got, err)
		require.Equal(t, []audit.Entry{{
			At: noon, Actor: "operator-kim", Action: "X", Subject: "s", Reason: "because", Outcome: want, IP: "203.0.113.7",
			Detail: `{"kind":"bill","outcome":"FAILED"}`,
		}}, r.all, "also when the caller has hung up")
	}
}

func TestNothingIsReadWithoutARow(t *testing.T) {
	t.Parallel()
	var reported []error
	away, refused := errors.New("away"), fault.New(fault.PermissionDenied)
	err := open(&rows{errs: []error{away}}, &reported).Show(t.Context(), kim, sampleAction, nil,
		func(map[string]string) error { return nil })
	require.ErrorIs(t, err, away)
	r := &rows{}
	err = open(r, &reported).Show(t.Context(), kim, sampleAction, refused,
		func(map[string]string) error { require.Fail(t, "seen"); return nil })
	require.ErrorIs(t, err, refused)
	require.Len(t, r.all, 1)
	require.Equal(t, audit.Outcome(fault.PermissionDenied), r.all[0].Outcome)
}
