package selfservice

import (
	"context"
	"errors"

	"phonebill/core/auth"
	"phonebill/core/auth/verify"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/ports"
)

// SecondFactors enrols, resets and removes second factors. All fields are required; it is safe for concurrent use.
type SecondFactors struct {
	Users   ports.Users
	Factors ports.SecondFactors
	Codes   ports.OneTimeCodes
	History ports.LoginHistory
	Guesses *verify.Limiter
	Devices ports.Devices
	// Sessions and Push end the other sessions of an owner who enrols and requests it.
	Sessions ports.Sessions
	Push     ports.RevocationPush
	// Reauthenticate is Passwords.Reauthenticate: a change of the second factor needs the password and, once one is
	// enrolled, a code.
	Reauthenticate func(ctx context.Context, r PasswordRequest) error
	Now            ports.Clock
	NewID          ports.IDs
}

// Enrolment is what its owner sees once: the secret, the same as an otpauth URI to scan, and (when it is valid at once)
// the recovery codes.
type Enrolment struct {
	Secret        personal.Secret
	URI           personal.Secret
	RecoveryCodes []personal.Secret
}

// Begin makes a fresh secret, which becomes valid by Confirm with a code of it; a valid second factor stays so until
// then. REAUTHENTICATION_FAILED for a wrong password, or a missing or wrong code of the valid factor.
func (s *SecondFactors) Begin(ctx context.Context, r PasswordRequest) (Enrolment, error) {
	if err := s.Reauthenticate(ctx, r); err != nil {
		return Enrolment{}, err
	}
	account, err := s.Users.ByID(ctx, r.UserID)
	if err != nil {
		return Enrolment{}, err
	}
	if !account.SecondFactor {
		return s.begin(ctx, r.UserID)
	}
	secret := s.Codes.NewSecret()
	if err := s.Factors.BeginNext(ctx, r.UserID, auth.TOTP{Secret: secret, CreatedAt: s.Now()}); err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Secret: secret, URI: s.Codes.URI(r.UserID, secret)}, nil
}

func (s *SecondFactors) begin(ctx context.Context, user auth.UserID) (Enrolment, error) {
	secret := s.Codes.NewSecret()
	if err := s.Factors.Begin(ctx, user, auth.TOTP{Secret: secret, CreatedAt: s.Now()}); err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Secret: secret, URI: s.Codes.URI(user, secret)}, nil
}

// Confirmation is a code of the secret that was begun.
type Confirmation struct {
	UserID    auth.UserID
	Session   id.ID // stays when the others end
	Code      personal.Secret
	EndOthers bool              // ends all other sessions of the user: they may have begun without a second factor
	Devices   []personal.Secret // device cookies, of any user
	From      auth.Client
}

// Confirm makes the begun secret valid, given a code of it, and returns the recovery codes; an older factor and its
// codes are deleted. REAUTHENTICATION_FAILED for a wrong code, which is a guess like one at login, CONFLICT when
// nothing was begun. The code is used up.
func (s *SecondFactors) Confirm(ctx context.Context, c Confirmation) ([]personal.Secret, error) {
	account, err := s.Users.ByID(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	held, err := s.Factors.Get(ctx, c.UserID)
	if err != nil {
		return nil, asConflict(err)
	}
	begun, ok := held.Begun()
	if !ok {
		return nil, fault.New(fault.StateConflict)
	}
	subject := verify.SubjectOf(s.Devices, c.UserID, account, c.Devices)
	err = s.Guesses.Try(ctx, subject, func() (verify.Outcome, error) {
		step, ok := s.Codes.Step(begun.Secret, c.Code, s.Now())
		if !ok {
			return verify.Wrong, auth.FactorWrong()
		}
		begun.LastStep, begun.ConfirmedAt = step, s.Now()
		return verify.Unjudged, nil
	})
	if err != nil {
		return nil, s.refused(ctx, c.UserID, c.From, err)
	}
	codes, err := s.confirm(ctx, c.UserID, begun, c.From)
	if err != nil {
		return nil, err
	}
	return codes, s.enrolled(ctx, c)
}

// enrolled ends the duty to enrol, if there was one, with the tokens that carry it, and the other sessions when that
// was requested.
func (s *SecondFactors) enrolled(ctx context.Context, c Confirmation) error {
	ctx, done := ports.RecordContext(ctx)
	defer done()
	if err := s.handedOver(ctx, c.UserID, false); err != nil || !c.EndOthers {
		return err
	}
	ended, err := s.Sessions.EndAll(ctx, c.UserID, c.Session, s.Now())
	s.Push.Push(ctx, ended...)
	if err != nil || len(ended) == 0 {
		return err
	}
	return s.record(ctx, c.UserID, auth.EventSessionEnded, c.From)
}

// handedOver stores whether another person made the account's factor; tokens that state otherwise are refused.
func (s *SecondFactors) handedOver(ctx context.Context, user auth.UserID, is bool) error {
	var before auth.User
	after, err := s.Users.Change(ctx, user, func(u auth.User) (auth.User, error) {
		before = u
		u.FactorHandedOver = is
		return u, nil
	})
	if err == nil && after.Epoch != before.Epoch {
		s.Push.Push(ctx, auth.Revocation{UserID: user, Epoch: after.Epoch, At: s.Now()})
	}
	return err
}

// refused records a wrong code.
func (s *SecondFactors) refused(ctx context.Context, user auth.UserID, from auth.Client, err error) error {
	if fault.From(err).Kind() != fault.Unauthenticated {
		return err
	}
	e := auth.LoginEvent{
		ID: s.NewID(), UserID: user, Known: true, Type: auth.EventMFAFailed, Reason: string(fault.From(err).Code()),
		Client: from, At: s.Now(),
	}
	ctx, done := ports.RecordContext(ctx)
	defer done()
	return errors.Join(auth.Reauthentication(err, "otp"), s.History.Append(ctx, e))
}

func (s *SecondFactors) confirm(
	ctx context.Context, user auth.UserID, t auth.TOTP, from auth.Client,
) ([]personal.Secret, error) {
	codes := s.Codes.NewRecoveryCodes()
	if err := s.Factors.Confirm(ctx, user, t, codes); err != nil {
		return nil, err
	}
	return codes, s.record(ctx, user, auth.EventMFAEnrolled, from)
}

// Enrol gives an account a second factor that is valid at once: for new staff accounts, whose creator hands the secret
// over. Their owners enrol anew before anything else. CONFLICT when one is valid already.
func (s *SecondFactors) Enrol(ctx context.Context, user auth.UserID, from auth.Client) (Enrolment, error) {
	if err := s.handedOver(ctx, user, true); err != nil {
		return Enrolment{}, err
	}
	e, err := s.begin(ctx, user)
	if err != nil {
		return Enrolment{}, err
	}
	e.RecoveryCodes, err = s.confirm(ctx, user, auth.TOTP{Secret: e.Secret, ConfirmedAt: s.Now()}, from)
	return e, err
}

// Reset is for an owner who has lost the app and the recovery codes. Staff get a new second factor, which is valid at
// once and whose secret is handed over, so that they enrol anew before anything else; a customer has none from then on.
func (s *SecondFactors) Reset(ctx context.Context, user auth.UserID, from auth.Client) (Enrolment, error) {
	account, err := s.Users.ByID(ctx, user)
	if err != nil {
		return Enrolment{}, err
	}
	if !account.Staff() {
		if err := s.Factors.Remove(ctx, user); err != nil {
			return Enrolment{}, err
		}
		return Enrolment{}, s.record(ctx, user, auth.EventMFARemoved, from)
	}
	if err := s.handedOver(ctx, user, true); err != nil { // before there is one, so that none counts unnoticed
		return Enrolment{}, err
	}
	secret, codes := s.Codes.NewSecret(), s.Codes.NewRecoveryCodes()
	t := auth.TOTP{Secret: secret, CreatedAt: s.Now(), ConfirmedAt: s.Now()}
	if err := s.Factors.Replace(ctx, user, t, codes); err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Secret: secret, URI: s.Codes.URI(user, secret), RecoveryCodes: codes},
		s.record(ctx, user, auth.EventMFAEnrolled, from)
}

// Remove deletes the second factor and its recovery codes. REAUTHENTICATION_FAILED for a wrong password, or a missing
// or wrong code of it; CONFLICT for staff, who must have one.
func (s *SecondFactors) Remove(ctx context.Context, r PasswordRequest) error {
	account, err := s.Users.ByID(ctx, r.UserID)
	switch {
	case err != nil:
		return err
	case account.Staff():
		return fault.New(fault.StateConflict).WithDetail("reason", "STAFF_NEEDS_SECOND_FACTOR")
	}
	if err := s.Reauthenticate(ctx, r); err != nil {
		return err
	}
	if err := s.Factors.Remove(ctx, r.UserID); err != nil {
		return err
	}
	return s.record(ctx, r.UserID, auth.EventMFARemoved, r.From)
}

func (s *SecondFactors) record(
	ctx context.Context, user auth.UserID, what auth.LoginEventType, from auth.Client,
) error {
	ctx, done := ports.RecordContext(ctx)
	defer done()
	return s.History.Append(ctx, auth.LoginEvent{
		ID: s.NewID(), UserID: user, Known: true, Type: what, Success: true, Client: from, At: s.Now(),
	})
}

// asConflict turns NOT_FOUND into a CONFLICT: nothing was begun.
func asConflict(err error) error {
	if f := fault.From(err); f != nil && f.Code() == fault.ResourceNotFound {
		return fault.New(fault.StateConflict)
	}
	return err
}
