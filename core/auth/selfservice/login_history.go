package selfservice

import (
	"context"

	"phonebill/core/auth"
	"phonebill/ports"
)

// LoginHistory reads the login history.
type LoginHistory struct{ Records ports.LoginRecords }

// Own returns one page of the caller's events, newest first, and how many there are (at most auth.MaxCounted).
func (s *LoginHistory) Own(ctx context.Context, user auth.UserID, page, size int) ([]auth.LoginEvent, int, error) {
	return s.Records.Page(ctx, user, page, size)
}
