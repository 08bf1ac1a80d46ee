package login

import (
	"context"

	"phonebill/core/auth"
	"phonebill/core/fault"
)

// secondFactor looks at the one-time code once the password was right. AUTH_004 when one is needed or it is wrong, spent or of an
// account that must have a second factor and has none; its field otp says which of the first two. Each code is accepted once.
func (s *Service) secondFactor(ctx context.Context, r Request, user auth.User, guess auth.Guess) error {
	switch {
	case !user.SecondFactor && user.Staff():
		return fault.New(fault.SecondFactor)
	case !user.SecondFactor:
		return nil
	}
	var accepted bool
	var err error
	switch auth.KindOfCode(r.Code) {
	case auth.CodeMissing:
		return auth.FactorNeeded()
	case auth.CodeTOTP:
		accepted, err = s.acceptTOTP(ctx, r, user.UserID)
	case auth.CodeRecovery:
		accepted, err = s.Factors.UseRecoveryCode(ctx, user.UserID, r.Code, s.Now())
	case auth.CodeMalformed:
	}
	switch {
	case err != nil || accepted:
		return err
	case guess == auth.GuessLast:
		return fault.New(fault.LockedNow)
	default:
		return auth.FactorWrong()
	}
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
