package timeline

import (
	"time"

	"phonebill/core/delivery"
)

// Tellings are how the MVNO AP server was told of a result.
type Tellings struct {
	Made       []delivery.Made // oldest first
	ReplayedAt time.Time       // when a person had it told again, the last time; zero = never
}

func (t Tellings) events() []Event {
	all := make([]Event, 0, len(t.Made)+1)
	if !t.ReplayedAt.IsZero() {
		all = append(all, Event{
			At: t.ReplayedAt, Source: Person, What: DeliveryReplayed, Text: "담당자가 MVNO AP 서버에 결과를 다시 전달하도록 하였습니다", Facts: facts(),
		})
	}
	for _, m := range t.Made {
		e := Event{At: m.At, Source: Delivery, Facts: facts("state", string(m.State), "note", m.Note)}
		switch m.State {
		case delivery.Delivered:
			e.What, e.Text = Delivered, "MVNO AP 서버가 결과를 받았습니다"
		case delivery.Parked:
			e.What, e.Text = DeliveryParked, "MVNO AP 서버에 결과를 전달하지 못하여 보류하였습니다. 담당자가 확인해야 합니다"
		case delivery.None, delivery.Pending:
			e.What, e.Text = DeliveryAttempted, "MVNO AP 서버에 결과를 전달하지 못하였습니다. 다시 시도합니다"
		}
		all = append(all, e)
	}
	return all
}
