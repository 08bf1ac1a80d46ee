// Package freshness decides whether a copy of what KOS said may be shown, and as what.
package freshness

import "time"

// State is what a copy is worth now.
type State uint8

// The states.
const (
	Gone  State = iota // may not be shown
	Stale              // may be shown, labelled with its age, when KOS cannot answer (decision 12)
	Fresh              // may be shown without asking KOS
)

// Limits are the soft and hard lifetime of one kind of copy (product.md, "cache").
type Limits struct {
	Soft time.Duration // fresh until then
	Hard time.Duration // stale until then
}

// The limits of product.md.
var (
	Bill      = Limits{Soft: time.Hour, Hard: 7 * 24 * time.Hour}
	Customer  = Limits{Soft: 4 * time.Hour, Hard: 7 * 24 * time.Hour}
	PlanList  = Limits{Soft: 24 * time.Hour, Hard: 30 * 24 * time.Hour}
	PlanCheck = Limits{Soft: 60 * time.Second, Hard: 60 * time.Second} // for a change (decision 10)
)

// Decide judges a copy fetched at fetchedAt. Nothing older than the customer's own last change (epoch, zero when
// there was none) may be shown (decision 11).
func (l Limits) Decide(fetchedAt, epoch, now time.Time) State {
	age := now.Sub(fetchedAt)
	switch {
	case fetchedAt.IsZero() || fetchedAt.Before(epoch) || age >= l.Hard && age >= l.Soft:
		return Gone
	case age < l.Soft:
		return Fresh
	default:
		return Stale
	}
}
