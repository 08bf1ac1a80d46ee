package internalclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/internalclient"
	"phonebill/adapters/memory"
	"phonebill/adapters/rest/internalapi"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/timeline"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// troubled is a service whose database is away.
type troubled struct{}

func (troubled) ByRequest(context.Context, id.ID) (timeline.Timeline, error) {
	return timeline.Timeline{}, errors.New("away")
}

func serveTimelines(t *testing.T, of ports.Timelines) string {
	t.Helper()
	return serveInternal(t, &internalapi.Handlers{Timelines: of})
}

func askTimelines(t *testing.T, token string, origins ...string) *internalclient.Timelines {
	t.Helper()
	l, err := internalclient.NewServices(internalclient.Access{Token: personal.NewSecret(token)}, internalclient.Service{
		Name: service, Origins: origins,
	})
	require.NoError(t, err)
	return l.Timelines(service)
}

func aStory() timeline.Timeline {
	return timeline.Timeline{
		Kind: timeline.Change, Line: "010-****-5678", Status: "UNKNOWN", NextAt: said.Add(time.Hour),
		Missing: []timeline.Gap{timeline.Truncated},
		Events: []timeline.Event{
			{At: said, Source: timeline.Request, Type: timeline.Requested, Text: "신청", Facts: map[string]string{"to": "5G"}},
			{At: said.Add(1), Source: timeline.Check, Type: timeline.CheckPassed, Text: "통과", Facts: map[string]string{}},
		},
	}
}

func TestTimelines(t *testing.T) {
	t.Parallel()
	portstest.Timelines(t, func(t *testing.T) (ports.Timelines, id.ID, []timeline.EventType) {
		t.Helper()
		return askTimelines(t, "s3cret", serveTimelines(t, memory.Timelines{{1}: aStory()})), id.ID{1},
			[]timeline.EventType{timeline.Requested, timeline.CheckPassed}
	})
}

func TestTimelinesTravelWhole(t *testing.T) {
	t.Parallel()
	short := timeline.Timeline{Kind: timeline.Bill, Status: "PROCESSING", Events: []timeline.Event{}}
	well := serveTimelines(t, memory.Timelines{{1}: aStory(), {2}: short})
	of := askTimelines(t, "s3cret", "http://127.0.0.1:1", serveTimelines(t, troubled{}), well)
	got, err := of.ByRequest(t.Context(), id.ID{1})
	require.NoError(t, err)
	require.Equal(t, aStory(), got)
	got, err = of.ByRequest(t.Context(), id.ID{2})
	require.NoError(t, err)
	require.Equal(t, short, got)
}

func TestStoriesThatCannotBeAskedFor(t *testing.T) {
	t.Parallel()
	well := serveTimelines(t, memory.Timelines{{1}: aStory()})
	for name, of := range map[string]*internalclient.Timelines{
		"nobody there": askTimelines(t, "s3cret", "http://127.0.0.1:1"), "no instance": askTimelines(t, "s3cret"),
		"another token":  askTimelines(t, "other", well),
		"in trouble":     askTimelines(t, "s3cret", serveTimelines(t, troubled{})),
		"an old release": askTimelines(t, "s3cret", serve(t, http.NotFoundHandler())),
		"not JSON":       askTimelines(t, "s3cret", serve(t, answering(http.StatusOK, "<html>"))),
	} {
		_, err := of.ByRequest(t.Context(), id.ID{1})
		require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)
	}
	req, err := http.NewRequestWithContext(
		t.Context(), http.MethodGet, well+internalapi.Base+"timelines"+"/x", http.NoBody,
	)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer s3cret")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	raw, err := io.ReadAll(res.Body)
	require.NoError(t, errors.Join(err, res.Body.Close()))
	require.Equal(t, http.StatusBadRequest, res.StatusCode)
	require.True(t, strings.Contains(string(raw), "VALIDATION_ERROR"))
}
