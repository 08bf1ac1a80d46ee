package admin

import (
	"context"
	"fmt"

	"phonebill/core/auth"
	"phonebill/core/operations"
)

// maxClashes is how many folded ids of which there are several accounts are shown.
const maxClashes = 1000

// Clashes returns the ids of accounts that differ from another one's in case alone, side by side. They are from before
// ids were compared without case, and log in by exact spelling until all but one are INACTIVE.
func (s *Service) Clashes(ctx context.Context, by Caller) (found []auth.UserID, err error) {
	err = s.read(ctx, call{Caller: by, action: actListClashes, subject: "user ids"}, func() (err error) {
		found, err = s.Accounts.Clashes(ctx, maxClashes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// ReportClashes raises an alert when there are such ids; the alert names none of them.
func (s *Service) ReportClashes(ctx context.Context) error {
	found, err := s.Accounts.Clashes(ctx, maxClashes)
	if err != nil || len(found) == 0 {
		return err
	}
	s.Alerts.Raise(ctx, operations.Alert{
		Kind: operations.UserIDsClash, Subject: "user ids",
		Note: fmt.Sprintf("%d ids of accounts differ from another in case alone; phonebillctl users clashes lists them",
			len(found)),
	})
	return nil
}
