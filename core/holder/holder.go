// Package holder holds whose a line is: a carrier gives a number that was given up to somebody else, and KOS then
// describes that customer and writes that customer's bills.
package holder

import "phonebill/core/auth"

// Account is for whom a line is looked at: a user, and the customer of KOS that the account belongs to.
type Account struct {
	UserID     auth.UserID
	CustomerID string // empty: the customer that KOS names first; PerLine: likewise, for each line by itself
}

// PerLine stands in an account in place of a customer id and states that its lines may belong to several customers of
// KOS.
const PerLine = "PER-LINE"
