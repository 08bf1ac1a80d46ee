package admin

import (
	"context"

	"phonebill/core/auth"
	"phonebill/core/auth/selfservice"
)

// ResetFactor is for an owner who has lost the app and the recovery codes: staff get a new second factor, which is
// returned this once; a customer has none from then on. All sessions of the account end. FORBIDDEN for a caller that
// may not change the account, CONFLICT for the caller's own account.
func (s *Service) ResetFactor(
	ctx context.Context, by Caller, user auth.UserID, reason string,
) (e selfservice.Enrolment, err error) {
	err = s.change(ctx, call{Caller: by, action: actResetFactor, account: user, reason: reason}, func() error {
		account, err := s.Users.ByID(ctx, user)
		if err != nil {
			return err
		}
		restored := account
		restored.SecondFactor = true
		if err := auth.MayChange(by.UserID, by.Roles, account, restored); err != nil {
			return err
		}
		if e, err = s.Factors.Reset(ctx, user, by.From); err != nil {
			return err
		}
		_, err = s.endAll(ctx, user, s.Now())
		return err
	})
	return e, err
}
