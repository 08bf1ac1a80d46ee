package ports

import (
	"context"

	"phonebill/core/auth"
	"phonebill/core/line"
)

// Bindings remember which customer of KOS was seen first for an account that names none. A binding never changes.
type Bindings interface {
	// Bind binds the account to the customer unless it is bound already, and returns whether it is bound to that
	// customer. Of parallel first calls one binds. n is the line that is bound by itself, zero for the account as a
	// whole.
	Bind(ctx context.Context, account auth.UserID, n line.Number, customer string) (same bool, err error)
}
