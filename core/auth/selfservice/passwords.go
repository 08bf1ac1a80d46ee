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

// Passwords changes passwords. All fields are required; it is safe for concurrent use.
type Passwords struct {
	Users       ports.Users
	Guesses     *verify.Limiter
	Credentials ports.Credentials
	Hasher      ports.PasswordHasher
	Turns       *verify.HashQueue // shared with log-in
	Devices     ports.Devices
	Sessions    ports.Sessions
	Push        ports.RevocationPush
	History     ports.LoginHistory
	Factors     ports.SecondFactors
	Codes       ports.OneTimeCodes
	Now         ports.Clock
	NewID       ports.IDs
}

// PasswordRequest is what a logged-in caller submits.
type PasswordRequest struct {
	UserID  auth.UserID
	Session id.ID // of a change: stays; all others end
	Current personal.Secret
	Code    personal.Secret   // one-time or recovery code; empty when none was sent
	New     personal.Secret   // of a change
	Devices []personal.Secret // device cookies, of any user
	From    auth.Client
}

// Change sets the new password and ends all other sessions of the user; their tokens are refused at once. The cookies
// of known devices are void from then on: a new one for this device is returned. It fails with VALIDATION_ERROR on
// newPassword, or with REAUTHENTICATION_FAILED for a wrong current password or, once a second factor is enrolled, a
// missing or wrong code; each is a guess like one at login.
func (s *Passwords) Change(ctx context.Context, r PasswordRequest) (auth.DeviceCookie, error) {
	if err := auth.CheckPassword("newPassword", r.UserID, r.New); err != nil {
		return auth.DeviceCookie{}, err
	}
	if err := auth.TypedPassword("currentPassword", r.Current); err != nil {
		return auth.DeviceCookie{}, err
	}
	if personal.NFC(r.New.Reveal()) == personal.NFC(r.Current.Reveal()) {
		return auth.DeviceCookie{}, fault.InvalidField("newPassword", "현재 비밀번호와 달라야 합니다")
	}
	back, err := s.turn(ctx, r)
	if err != nil {
		return auth.DeviceCookie{}, err
	}
	defer back()
	var after auth.User
	subject, err := s.try(ctx, r)
	if err == nil {
		after, err = s.replace(ctx, r)
	}
	if err != nil && fault.From(err).Kind() == fault.RateLimited {
		return auth.DeviceCookie{}, err
	}
	within := auth.Reauthentication(err, "currentPassword")
	if err := errors.Join(within, s.record(ctx, r, auth.EventPasswordChanged, err)); err != nil {
		return auth.DeviceCookie{}, err
	}
	if subject.Device.IsZero() {
		subject.Device = s.NewID()
	}
	return s.Devices.Mint(after, subject.Device), nil
}

// Reauthenticate checks the current password once more, and a code once a second factor is enrolled, before something
// that a stolen session must not do. REAUTHENTICATION_FAILED when one is wrong or missing, which counts like a guess at
// login.
func (s *Passwords) Reauthenticate(ctx context.Context, r PasswordRequest) error {
	if err := auth.TypedPassword("password", r.Current); err != nil {
		return err
	}
	back, err := s.turn(ctx, r)
	if err != nil {
		return err
	}
	defer back()
	_, err = s.try(ctx, r)
	if err == nil || fault.From(err).Kind() == fault.RateLimited {
		return err
	}
	return errors.Join(auth.Reauthentication(err, "password"), s.record(ctx, r, auth.EventReauthentication, err))
}

// turn waits until the account may hash passwords: a session has the same priority as a known device.
// SERVICE_UNAVAILABLE, which is no guess, when too many wait.
func (s *Passwords) turn(ctx context.Context, r PasswordRequest) (back func(), err error) {
	return s.Turns.Take(ctx, verify.HashRequest{Key: "account:" + string(r.UserID), Known: true})
}

// try makes one guess of the current password and code.
func (s *Passwords) try(ctx context.Context, r PasswordRequest) (auth.Subject, error) {
	account, err := s.Users.ByID(ctx, r.UserID)
	if err != nil {
		return auth.Subject{}, err
	}
	subject := verify.SubjectOf(s.Devices, r.UserID, account, r.Devices)
	return subject, s.Guesses.Try(ctx, subject, func() (verify.Outcome, error) { return s.check(ctx, r) })
}

func (s *Passwords) check(ctx context.Context, r PasswordRequest) (verify.Outcome, error) {
	user, err := s.Users.ByID(ctx, r.UserID)
	if err != nil {
		return verify.Unjudged, err
	}
	outcome, err := verify.Password(ctx, s.Credentials, user, r.Current)
	// The code of a factor that another person made proves nothing.
	if outcome != verify.Right || !user.SecondFactor || user.FactorHandedOver {
		return outcome, err
	}
	return verify.OneTimeCode{Factors: s.Factors, Codes: s.Codes, Now: s.Now}.Check(ctx, user.UserID, r.Code)
}

// replace stores first and ends the other sessions then: a login with the old password in between is ended too, or sees
// the new password (login.Service.Login).
func (s *Passwords) replace(ctx context.Context, r PasswordRequest) (auth.User, error) {
	hash, err := s.Hasher.Hash(ctx, r.New)
	if err != nil {
		return auth.User{}, err
	}
	ctx, done := ports.RecordContext(ctx)
	defer done()
	var before auth.User
	after, err := s.Users.Change(ctx, r.UserID, func(u auth.User) (auth.User, error) {
		before = u
		u.PasswordHash, u.InitialPassword = hash, false
		return u, nil
	})
	if err != nil {
		return auth.User{}, err
	}
	ended, err := s.Sessions.EndAll(ctx, r.UserID, r.Session, s.Now())
	if after.Epoch != before.Epoch { // tokens with the duty to change the initial password are out of date
		ended = append(ended, auth.Revocation{UserID: r.UserID, Epoch: after.Epoch, At: s.Now()})
	}
	s.Push.Push(ctx, ended...)
	return after, err
}

func (s *Passwords) record(ctx context.Context, r PasswordRequest, what auth.LoginEventType, outcome error) error {
	e := auth.LoginEvent{
		ID: s.NewID(), UserID: r.UserID, Known: true, Type: what, Success: outcome == nil, Client: r.From, At: s.Now(),
	}
	if outcome != nil {
		e.Reason = string(fault.From(outcome).Code())
	}
	if errors.Is(outcome, fault.New(fault.LockedNow)) {
		e.Type = auth.EventLocked
	}
	ctx, done := ports.RecordContext(ctx)
	defer done()
	return s.History.Append(ctx, e)
}
