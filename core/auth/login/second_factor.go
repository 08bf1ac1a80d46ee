package login

import (
	"context"

	"phonebill/core/auth"
	"phonebill/core/auth/guess"
	"phonebill/core/auth/onetime"
	"phonebill/core/fault"
)

// secondFactor looks at the one-time code once the password was right, as onetime.Check does. AUTH_004 without the field otp for an account
// that must have a second factor and has none.
func (s *Service) secondFactor(ctx context.Context, r Request, user auth.User) (guess.Outcome, error) {
	switch {
	case !user.SecondFactor && user.Staff():
		return guess.Unjudged, fault.New(fault.SecondFactor)
	case !user.SecondFactor:
		return guess.Right, nil
	}
	return onetime.Check{Factors: s.Factors, Codes: s.Codes, Now: s.Now}.Look(ctx, user.UserID, r.Code)
}
