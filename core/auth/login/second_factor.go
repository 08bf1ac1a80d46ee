package login

import (
	"context"

	"phonebill/core/auth"
	"phonebill/core/auth/verify"

	"phonebill/core/fault"
)

// secondFactor checks the one-time code once the password was right, as verify.OneTimeCode.Check does. AUTH_004 without
// the field otp for an account that must have a second factor and has none.
func (s *Service) secondFactor(ctx context.Context, r Request, user auth.User) (verify.Outcome, error) {
	switch {
	case !user.SecondFactor && user.Staff():
		return verify.Unjudged, fault.New(fault.SecondFactor)
	case !user.SecondFactor:
		return verify.Right, nil
	}
	return verify.OneTimeCode{Factors: s.Factors, Codes: s.Codes, Now: s.Now}.Check(ctx, user.UserID, r.Code)
}
