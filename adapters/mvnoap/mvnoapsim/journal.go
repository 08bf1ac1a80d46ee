package mvnoapsim

// record is one line of the journal: an event, or the id of one that came again.
type record struct {
	Event     *Event `json:"event,omitempty"`
	Duplicate string `json:"duplicate,omitempty"`
}
