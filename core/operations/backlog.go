package operations

import "time"

// BacklogKind is what waits to be done with.
type BacklogKind string

// The kinds.
const (
	Orders     BacklogKind = "orders"
	Inquiries  BacklogKind = "inquiries"
	Deliveries BacklogKind = "deliveries"
)

// Backlog is what of one kind and state is not done with, over all instances.
type Backlog struct {
	Kind  BacklogKind
	State string
	Items int // no more than are counted
	// age of the oldest since it was requested (orders, inquiries) or its result was final (deliveries); 0 = none
	Oldest time.Duration
}
