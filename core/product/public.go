package product

// Public returns the processStatus of the API (R-CANCEL): PENDING while KOS cannot have seen the order, which is as
// long as it can be cancelled (CancelByCustomer); PROCESSING from the first attempt until it is final, also while its
// outcome is unknown, while it waits to be sent again and while it is parked.
func (o Order) Public() string {
	switch o.State {
	case Completed, Rejected, Cancelled:
		return string(o.State)
	case Requested, Validated:
		if o.Sends == 0 {
			return "PENDING"
		}
	case Dispatched, Unknown, Parked:
	}
	return "PROCESSING"
}
