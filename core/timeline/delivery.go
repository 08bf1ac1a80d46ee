package timeline

import (
	"time"

	"phonebill/core/delivery"
)

// Deliveries are the delivery attempts of a result to the MVNO AP server.
type Deliveries struct {
	Attempts   []delivery.AttemptRecord // oldest first
	ReplayedAt time.Time                // when a person last had it delivered again; zero = never
}

func (t Deliveries) events() []Event {
	all := make([]Event, 0, len(t.Attempts)+1)
	if !t.ReplayedAt.IsZero() {
		all = append(all, Event{
			At: t.ReplayedAt, Source: Staff, Type: DeliveryReplayed,
			Text: "담당자가 MVNO AP 서버에 결과를 다시 전달하도록 하였습니다", Facts: facts(),
		})
	}
	for _, m := range t.Attempts {
		e := Event{At: m.At, Source: Delivery, Facts: facts("state", string(m.State), "note", m.Note)}
		switch m.State {
		case delivery.Delivered:
			e.Type, e.Text = Delivered, "MVNO AP 서버가 결과를 받았습니다"
		case delivery.Parked:
			e.Type, e.Text = DeliveryParked, "MVNO AP 서버에 결과를 전달하지 못하여 보류하였습니다. 담당자가 확인해야 합니다"
		case delivery.None, delivery.Pending:
			e.Type, e.Text = DeliveryAttempted, "MVNO AP 서버에 결과를 전달하지 못하였습니다. 다시 시도합니다"
		}
		all = append(all, e)
	}
	return all
}
