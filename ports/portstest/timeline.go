package portstest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// Timelines is the suite of ports.Timelines. open returns one that knows a request whose timeline has the event types
// want.
func Timelines(t *testing.T, open func(t *testing.T) (of ports.Timelines, known id.ID, want []timeline.EventType)) {
	t.Helper()
	t.Run("a timeline is in order, and repeatable", func(t *testing.T) {
		t.Parallel()
		of, known, want := open(t)
		tl, err := of.ByRequest(t.Context(), known)
		require.NoError(t, err)
		var got []timeline.EventType
		for i, e := range tl.Events {
			got = append(got, e.Type)
			require.NotEmpty(t, e.Source, e.Type)
			require.NotEmpty(t, e.Text, e.Type)
			require.False(t, e.At.IsZero(), e.Type)
			require.NotNil(t, e.Facts, e.Type)
			if i > 0 {
				require.False(t, e.At.Before(tl.Events[i-1].At), e.Type)
			}
		}
		require.Equal(t, want, got)
		require.True(t, slices.Contains([]timeline.Kind{timeline.Bill, timeline.Change}, tl.Kind))
		require.NotEmpty(t, tl.Status)
		again, err := of.ByRequest(t.Context(), known)
		require.NoError(t, err)
		require.Equal(t, tl, again)
	})
	t.Run("what is not there is not found", func(t *testing.T) {
		t.Parallel()
		of, _, _ := open(t)
		_, err := of.ByRequest(t.Context(), numbered(4711))
		requireFault(t, fault.ResourceNotFound, err)
	})
}
