package memory_test

import (
	"testing"
	"time"

	"phonebill/adapters/memory"
	"phonebill/core/bill"
	"phonebill/core/id"
	"phonebill/core/timeline"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestTimelines(t *testing.T) {
	t.Parallel()
	portstest.Timelines(t, func(t *testing.T) (ports.Timelines, id.ID, []timeline.EventType) {
		t.Helper()
		q := timeline.Inquiry{Row: bill.Inquiry{Status: bill.Failed, RequestedAt: time.Unix(1, 0),
			ProcessedAt: time.Unix(2, 0)}}
		return memory.Timelines{{1}: q.Timeline()}, id.ID{1}, []timeline.EventType{timeline.Requested, timeline.Failed}
	})
}
