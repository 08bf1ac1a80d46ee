package auth

// Holder is the account for which a line is read: a user, and the customer of KOS that the account belongs to. A
// carrier gives a number that was given up to another person, and KOS then describes that customer and writes that
// customer's bills.
type Holder struct {
	UserID     UserID
	CustomerID string // empty: the customer that KOS names first; PerLine: likewise, for each line by itself
}

// PerLine stands in an account in place of a customer id and states that its lines may belong to several customers of
// KOS.
const PerLine = "PER-LINE"
