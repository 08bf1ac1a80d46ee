package verify

import (
	"context"
	"strings"

	"phonebill/core/auth"

	"phonebill/core/personal"
	"phonebill/ports"
)

// OneTimeCode checks codes. All fields are required; it is safe for concurrent use.
type OneTimeCode struct {
	Factors ports.SecondFactors
	Codes   ports.OneTimeCodes
	Now     ports.Clock
}

// Check judges a code of an account with a second factor: AUTH_004 when it is missing, wrong or spent, with the cause
// in the field otp. A wrong code is a wrong guess, a missing one is none. Each code is accepted once.
func (c OneTimeCode) Check(ctx context.Context, user auth.UserID, code personal.Secret) (Outcome, error) {
	var accepted bool
	var err error
	switch auth.KindOfCode(code) {
	case auth.CodeMissing:
		return Unjudged, auth.FactorNeeded()
	case auth.CodeTOTP:
		accepted, err = c.accept(ctx, user, code)
	case auth.CodeRecovery:
		accepted, err = c.Factors.UseRecoveryCode(ctx, user, asMade(code), c.Now())
	case auth.CodeMalformed:
	}
	switch {
	case err != nil:
		return Unjudged, err
	case !accepted:
		return Wrong, auth.FactorWrong()
	}
	return Right, nil
}

func (c OneTimeCode) accept(ctx context.Context, user auth.UserID, code personal.Secret) (bool, error) {
	factor, err := c.Factors.Get(ctx, user)
	if err != nil {
		return false, err
	}
	step, ok := c.Codes.Step(factor.Secret, code, c.Now())
	if !ok {
		return false, nil
	}
	return c.Factors.Accept(ctx, user, step)
}

// asMade returns a recovery code as it was made, in small letters: keyboards of phones begin with a capital one.
func asMade(code personal.Secret) personal.Secret {
	return personal.NewSecret(strings.ToLower(code.Reveal()))
}
