package login

import (
	"context"

	"phonebill/core/auth"
	"phonebill/core/auth/guess"
	"phonebill/core/fault"
)

// secondFactor looks at the one-time code once the password was right. AUTH_004 when one is needed or it is wrong, spent or of an
// account that must have a second factor and has none; its field otp says which of the first two. A wrong code is a wrong guess, a
// missing one is none. Each code is accepted once.
func (s *Service) secondFactor(ctx context.Context, r Request, user auth.User) (guess.Outcome, error) {
	switch {
	case !user.SecondFactor && user.Staff():
		return guess.Unjudged, fault.New(fault.SecondFactor)
	case !user.SecondFactor:
		return guess.Right, nil
	}
	var accepted bool
	var err error
	switch auth.KindOfCode(r.Code) {
	case auth.CodeMissing:
		return guess.Unjudged, auth.FactorNeeded()
	case auth.CodeTOTP:
		accepted, err = s.acceptTOTP(ctx, r, user.UserID)
	case auth.CodeRecovery:
		accepted, err = s.Factors.UseRecoveryCode(ctx, user.UserID, r.Code, s.Now())
	case auth.CodeMalformed:
	}
	switch {
	case err != nil:
		return guess.Unjudged, err
	case !accepted:
		return guess.Wrong, auth.FactorWrong()
	}
	return guess.Right, nil
}

func (s *Service) acceptTOTP(ctx context.Context, r Request, user auth.UserID) (bool, error) {
	factor, err := s.Factors.Get(ctx, user)
	if err != nil {
		return false, err
	}
	step, ok := s.Codes.Step(factor.Secret, r.Code, s.Now())
	if !ok {
		return false, nil
	}
	return s.Factors.Accept(ctx, user, step)
}
