// Package history shows a user what happened to his own logins (UFR-AUTH-010).
package history

import (
	"context"

	"phonebill/core/auth"
	"phonebill/ports"
)

// Service reads the login history.
type Service struct{ Records ports.LoginRecords }

// Own answers one page of the caller's events, newest first, and how many there are (at most auth.MostCounted).
func (s *Service) Own(ctx context.Context, user auth.UserID, page, size int) ([]auth.LoginEvent, int, error) {
	return s.Records.Page(ctx, user, page, size)
}
