// Package mfa enrols and removes second factors (decision: mandatory for staff, optional for customers; api.md).
package mfa

import (
	"context"

	"phonebill/core/auth"
	"phonebill/core/auth/password"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Service keeps second factors. All fields are required; it is safe for concurrent use.
type Service struct {
	Users   ports.Users
	Factors ports.SecondFactors
	Codes   ports.OneTimeCodes
	History ports.LoginHistory
	// Reauthenticate is password.Service's: whoever changes the second factor shows first that he knows the password.
	Reauthenticate func(ctx context.Context, r password.Request) error
	Now            ports.Clock
	NewID          ports.IDs
}

// Enrolment is what its owner sees once: the secret, the same as an otpauth URI to scan, and (when it counts at once) the recovery codes.
type Enrolment struct {
	Secret        personal.Secret
	URI           personal.Secret
	RecoveryCodes []personal.Secret
}

// Begin makes a fresh secret, which counts once Confirm has seen a code of it. AUTH_001…003 for a wrong password, CONFLICT when a
// second factor counts already.
func (s *Service) Begin(ctx context.Context, r password.Request) (Enrolment, error) {
	if err := s.Reauthenticate(ctx, r); err != nil {
		return Enrolment{}, err
	}
	return s.begin(ctx, r.UserID)
}

func (s *Service) begin(ctx context.Context, user auth.UserID) (Enrolment, error) {
	secret := s.Codes.NewSecret()
	if err := s.Factors.Begin(ctx, user, auth.TOTP{Secret: secret, CreatedAt: s.Now()}); err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Secret: secret, URI: s.Codes.URI(user, secret)}, nil
}

// Confirm makes the secret that was begun count, given a code of it, and answers the recovery codes. AUTH_004 for a wrong code,
// CONFLICT when nothing was begun. The code is used up by it.
func (s *Service) Confirm(ctx context.Context, user auth.UserID, code personal.Secret, from auth.Client) ([]personal.Secret, error) {
	begun, err := s.Factors.Get(ctx, user)
	if err != nil {
		return nil, asConflict(err)
	}
	step, ok := s.Codes.Step(begun.Secret, code, s.Now())
	if !ok {
		return nil, auth.FactorWrong()
	}
	begun.LastStep, begun.ConfirmedAt = step, s.Now()
	return s.confirm(ctx, user, begun, from)
}

func (s *Service) confirm(ctx context.Context, user auth.UserID, t auth.TOTP, from auth.Client) ([]personal.Secret, error) {
	codes := s.Codes.NewRecoveryCodes()
	if err := s.Factors.Confirm(ctx, user, t, codes); err != nil {
		return nil, err
	}
	return codes, s.record(ctx, user, auth.EventMFAEnrolled, from)
}

// Enrol gives an account a second factor that counts at once: for staff accounts that are being made, whose maker hands the secret
// over. CONFLICT when one counts already.
func (s *Service) Enrol(ctx context.Context, user auth.UserID, from auth.Client) (Enrolment, error) {
	e, err := s.begin(ctx, user)
	if err != nil {
		return Enrolment{}, err
	}
	e.RecoveryCodes, err = s.confirm(ctx, user, auth.TOTP{Secret: e.Secret, ConfirmedAt: s.Now()}, from)
	return e, err
}

// Remove forgets the second factor and its recovery codes. AUTH_001…003 for a wrong password, CONFLICT for staff, who must have one.
func (s *Service) Remove(ctx context.Context, r password.Request) error {
	if err := s.Reauthenticate(ctx, r); err != nil {
		return err
	}
	account, err := s.Users.ByID(ctx, r.UserID)
	switch {
	case err != nil:
		return err
	case account.Staff():
		return fault.New(fault.StateConflict).WithDetail("reason", "STAFF_NEEDS_SECOND_FACTOR")
	}
	if err := s.Factors.Remove(ctx, r.UserID); err != nil {
		return err
	}
	return s.record(ctx, r.UserID, auth.EventMFARemoved, r.From)
}

func (s *Service) record(ctx context.Context, user auth.UserID, what auth.LoginEventType, from auth.Client) error {
	return s.History.Append(context.WithoutCancel(ctx), auth.LoginEvent{
		ID: s.NewID(), UserID: user, Known: true, Type: what, Success: true, Client: from, At: s.Now(),
	})
}

// asConflict says that nothing was begun.
func asConflict(err error) error {
	if f := fault.From(err); f != nil && f.Code() == fault.ResourceNotFound {
		return fault.New(fault.StateConflict)
	}
	return err
}
