package parked

import (
	"context"

	"phonebill/core/alert"
	"phonebill/core/audit/record"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Desk is where staff look at parked orders and say what became of them; what they say is on record. All fields are required; it is safe
// for concurrent use.
type Desk struct {
	Changes ports.ParkedChanges
	Log     record.Log
}

// List answers one page, those requested first coming first, and how many there are (at most product.MostParkedCounted). FORBIDDEN for who
// is not staff, as everywhere here.
func (d *Desk) List(ctx context.Context, by record.By, page, size int) ([]product.ParkedOrder, int, error) {
	if err := by.Staff(); err != nil {
		return nil, 0, err
	}
	return d.Changes.List(ctx, page, size)
}

// Word is what a person says of an order.
type Word struct {
	Order           id.ID
	Outcome, Reason string
}

const (
	action = "CHANGE_RESOLUTION" // in the audit log
	result = "result"            // PROPOSED or RESOLVED, there
)

// Resolve says a word, and answers what it made: a proposal that another person must confirm, or the end of it. VALIDATION_ERROR names the
// field, NOT_FOUND without the order, CONFLICT when it is not parked (any more) or the same person repeats himself. The intent is in the
// audit log before anything changes, and what came of it after.
func (d *Desk) Resolve(ctx context.Context, by record.By, w Word) (product.Judgement, error) {
	refused := by.Staff()
	var r product.Resolution
	if refused == nil {
		r, refused = product.ParseResolution(w.Outcome, w.Reason, auth.UserID(by.Name), d.Log.Now())
	}
	deed := record.Deed{Action: action, Subject: w.Order.String(), Reason: r.Reason, Facts: map[string]string{"outcome": string(r.Outcome)}}
	var verdict product.Judgement
	err := d.Log.Do(ctx, by, deed, refused, func(facts map[string]string) (err error) {
		if verdict, err = d.Changes.Resolve(ctx, w.Order, r); err == nil {
			facts[result] = verdict.String()
		}
		return err
	})
	return verdict, err
}

// Alarm tells a person of each order that is left to one (change.Service.Parked). The list is the truth: an alarm can be lost with the
// process that had to raise it, an order cannot.
func Alarm(alerts ports.Alerts) func(context.Context, product.Order) {
	return func(ctx context.Context, o product.Order) {
		alerts.Raise(ctx, alert.Alert{
			Kind: alert.ChangeParked, Subject: o.ID.String(), Note: "KOS cannot tell what became of it: see /ops/parked-changes",
		})
	}
}
