package login

import (
	"context"
	"errors"

	"phonebill/core/auth"
	"phonebill/core/personal"
)

// Reauthenticate asks for the password of a user who is logged in once more, before something that a stolen session must not do. It
// answers AUTH_001, AUTH_002 or AUTH_003 like Login, and counts with it.
func (s *Service) Reauthenticate(ctx context.Context, user auth.UserID, password personal.Secret, from auth.Client) error {
	r := Request{UserID: user, Password: password, From: from}
	guess, err := s.Guesses.Take(ctx, user, s.Now())
	if err != nil {
		return err
	}
	account, err := s.check(ctx, r, guess)
	if err == nil {
		return s.Guesses.Clear(ctx, user)
	}
	if !answersGuess(err, r) {
		return errors.Join(err, s.Guesses.GiveBack(context.WithoutCancel(ctx), user))
	}
	return errors.Join(err, s.record(ctx, r, account, err))
}
