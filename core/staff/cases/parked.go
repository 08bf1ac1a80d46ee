package cases

import (
	"context"

	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// ParkedChanges lets staff see parked orders and decide about them; each decision is in the audit trail. All fields are
// required; it is safe for concurrent use.
type ParkedChanges struct {
	Changes ports.ParkedChanges
	Log     trail.Log
}

// List returns one page, those requested first coming first, and how many there are (at most product.MaxParkedCounted).
// It fails with FORBIDDEN for a caller that is not staff, as every method here.
func (d *ParkedChanges) List(
	ctx context.Context, by trail.By, page, size int,
) ([]product.ParkedOrder, int, error) {
	if err := by.Staff(); err != nil {
		return nil, 0, err
	}
	return d.Changes.List(ctx, page, size)
}

// Decision is the outcome of a parked order that a member of staff states.
type Decision struct {
	Order           id.ID
	Outcome, Reason string
}

const (
	actResolve = "CHANGE_RESOLUTION" // in the audit log
	result     = "result"            // PROPOSED or RESOLVED, there
)

// Resolve records a decision and returns its effect: a proposal that another person must confirm, or the end of the
// order. VALIDATION_ERROR names the field. It fails with NOT_FOUND for an unknown order, and with CONFLICT when the
// order is not parked (any more) or the same person repeats a proposal. The intent is in the audit log before anything
// changes, and the outcome after.
func (d *ParkedChanges) Resolve(ctx context.Context, by trail.By, w Decision) (product.Judgement, error) {
	refused := by.Staff()
	var r product.Resolution
	if refused == nil {
		r, refused = product.ParseResolution(w.Outcome, w.Reason, auth.UserID(by.Name), d.Log.Now())
	}
	action := trail.Action{Action: actResolve, Subject: w.Order.String(), Reason: r.Reason,
		Facts: map[string]string{"outcome": string(r.Outcome)}}
	var verdict product.Judgement
	err := d.Log.Do(ctx, by, action, refused, func(facts map[string]string) (err error) {
		if verdict, err = d.Changes.Resolve(ctx, w.Order, r); err == nil {
			facts[result] = verdict.String()
		}
		return err
	})
	return verdict, err
}
