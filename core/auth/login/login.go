// Package login is UFR-AUTH-010: log in, refresh, log out.
package login

import (
	"context"
	"errors"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Service logs customers in and out. All fields are required; it is safe for concurrent use.
type Service struct {
	Users    ports.Users
	Guesses  ports.Guesses
	Sessions ports.Sessions
	History  ports.LoginHistory
	Hasher   ports.PasswordHasher
	Access   ports.AccessTokens
	Refresh  ports.RefreshTokens
	Push     ports.RevocationPush
	Factors  ports.SecondFactors
	Codes    ports.OneTimeCodes
	Policy   auth.SessionPolicy
	Now      ports.Clock
	NewID    ports.IDs
}

// Request is one login as submitted.
type Request struct {
	UserID    auth.UserID
	Password  personal.Secret
	Code      personal.Secret // one-time or recovery code; empty when none was sent
	AutoLogin bool
	From      auth.Client
}

// Tokens are what a login or refresh answers.
type Tokens struct {
	Access    personal.Secret
	Refresh   personal.Secret
	ExpiresIn time.Duration // of the access token
	User      auth.User
	Principal auth.Principal
}

// Login answers tokens, AUTH_001 (wrong), AUTH_002 (wrong for the fifth time), AUTH_003 (locked), or FORBIDDEN when the
// account is not active. The guess is counted before the password is looked at; each outcome is in the login history.
func (s *Service) Login(ctx context.Context, r Request) (Tokens, error) {
	guess, err := s.Guesses.Take(ctx, r.UserID, s.Now())
	if err != nil {
		return Tokens{}, err
	}
	user, err := s.check(ctx, r, guess)
	if err == nil {
		err = s.secondFactor(ctx, r, user, guess)
	}
	if err == nil {
		err = s.Guesses.Clear(ctx, r.UserID)
	}
	if err != nil && guess != auth.GuessRefused && !answersGuess(err, r) {
		err = errors.Join(err, s.Guesses.GiveBack(context.WithoutCancel(ctx), r.UserID))
	}
	if err != nil {
		return Tokens{}, errors.Join(err, s.record(ctx, r, user, err))
	}
	session := s.Policy.NewSession(s.NewID(), user.UserID, r.AutoLogin, r.From, s.Now())
	ended, err := s.Sessions.Create(ctx, session, s.Policy)
	if err != nil {
		return Tokens{}, errors.Join(err, s.record(ctx, r, user, err))
	}
	s.Push.Push(ctx, ended...)
	if err := errors.Join(s.record(ctx, r, user, nil), s.Users.SawLogin(ctx, user.UserID, s.Now())); err != nil {
		return Tokens{}, err
	}
	return s.tokens(ctx, user, session)
}

// answersGuess tells whether a refusal is about the password or code. Our own trouble is no guess, nor is a code that was not sent.
func answersGuess(err error, r Request) bool {
	f := fault.From(err)
	missing := f.Code() == fault.SecondFactor && auth.KindOfCode(r.Code) == auth.CodeMissing
	return !missing && (f.Kind() == fault.Unauthenticated || f.Kind() == fault.Forbidden)
}

// check looks at the password; an unknown id costs the same work as a wrong password (decision 4).
func (s *Service) check(ctx context.Context, r Request, guess auth.Guess) (auth.User, error) {
	user, err := s.Users.ByID(ctx, r.UserID) // also when locked: the history tells known ids from unknown ones
	if err != nil && !errors.Is(err, fault.New(fault.UserNotFound)) {
		return auth.User{}, err
	}
	if guess == auth.GuessRefused {
		return user, fault.New(fault.Locked)
	}
	ok, stale, err := s.Hasher.Matches(ctx, user.PasswordHash, r.Password)
	switch {
	case err != nil:
		return user, err
	case !ok && guess == auth.GuessLast:
		return user, fault.New(fault.LockedNow)
	case !ok:
		return user, fault.New(fault.WrongCredentials)
	case user.Status != auth.Active:
		return user, fault.New(fault.PermissionDenied)
	case stale:
		s.rehash(ctx, r)
	}
	return user, nil
}

// rehash brings the stored hash up to today's parameters. The password was right: trouble here is no reason to refuse the login,
// and the next one tries again.
func (s *Service) rehash(ctx context.Context, r Request) {
	if hash, err := s.Hasher.Hash(ctx, r.Password); err == nil {
		_ = s.Users.Rehash(ctx, r.UserID, hash)
	}
}

// record stores the outcome, also for a client who hung up: a guess cannot be kept out of the history.
func (s *Service) record(ctx context.Context, r Request, user auth.User, outcome error) error {
	e := auth.LoginEvent{
		ID: s.NewID(), UserID: r.UserID, Known: user.UserID != "", Type: auth.EventLogin, Success: outcome == nil,
		Client: r.From, At: s.Now(),
	}
	if outcome != nil {
		e.Reason = string(fault.From(outcome).Code())
	}
	switch {
	case errors.Is(outcome, fault.New(fault.LockedNow)):
		e.Type = auth.EventLocked
	case errors.Is(outcome, fault.New(fault.SecondFactor)):
		e.Type = auth.EventMFAFailed
	case outcome == nil && user.SecondFactor && auth.KindOfCode(r.Code) == auth.CodeRecovery:
		e.Type = auth.EventMFARecovery
	case r.AutoLogin:
		e.Type = auth.EventAutoLogin
	}
	return s.History.Append(context.WithoutCancel(ctx), e)
}

func (s *Service) tokens(ctx context.Context, user auth.User, session auth.Session) (Tokens, error) {
	now := s.Now()
	expires := now.Add(s.Policy.Access)
	for _, end := range []time.Time{session.ExpiresAt, user.RightsEnd(now)} { // no token outlives its session or what it grants
		if !end.IsZero() && end.Before(expires) {
			expires = end
		}
	}
	p := auth.Principal{
		UserID: user.UserID, SessionID: session.ID, CustomerID: user.CustomerID, Lines: user.Lines, Roles: user.Roles,
		Permissions: user.Permissions(now), Epoch: user.Epoch, ExpiresAt: expires,
	}
	access, err := s.Access.Issue(ctx, p, now)
	if err != nil {
		return Tokens{}, err
	}
	return Tokens{
		Access: access, Refresh: s.Refresh.Make(session.ID, session.Generation),
		ExpiresIn: expires.Sub(now), User: user, Principal: p,
	}, nil
}

// Renew answers new tokens for a refresh token: one successor per token under any concurrency, the same successor again within
// the grace; REFRESH_TOKEN_REUSED after it, which ends the session; else REFRESH_TOKEN_INVALID (decision 3).
func (s *Service) Renew(ctx context.Context, token personal.Secret, from auth.Client) (Tokens, error) {
	sid, generation, err := s.Refresh.Read(token)
	if err != nil {
		return Tokens{}, err
	}
	var verdict auth.Refresh
	session, err := s.Sessions.Change(ctx, sid, func(old auth.Session) auth.Session {
		var next auth.Session
		next, verdict = s.Policy.Present(old, generation, s.Now())
		return next
	})
	switch {
	case errors.Is(err, fault.New(fault.ResourceNotFound)):
		return Tokens{}, fault.New(fault.RefreshTokenInvalid)
	case err != nil:
		return Tokens{}, err
	case verdict == auth.RefreshReused:
		err := fault.New(fault.RefreshTokenReused)
		return Tokens{}, errors.Join(err, s.end(ctx, session, auth.EventRefreshReused, from, err))
	case verdict == auth.RefreshRefused:
		return Tokens{}, fault.New(fault.RefreshTokenInvalid)
	}
	user, err := s.Users.ByID(ctx, session.UserID)
	switch {
	case errors.Is(err, fault.New(fault.UserNotFound)), err == nil && user.Status != auth.Active:
		return Tokens{}, fault.New(fault.RefreshTokenInvalid)
	case err != nil:
		return Tokens{}, err
	}
	return s.tokens(ctx, user, session)
}

// Logout ends the caller's session; its tokens are refused everywhere within a second (decision 2). Logging out twice is no
// error.
func (s *Service) Logout(ctx context.Context, sid id.ID, from auth.Client) error {
	session, err := s.Sessions.Change(ctx, sid, func(old auth.Session) auth.Session { return old.Revoke(s.Now()) })
	if err != nil {
		return err
	}
	return s.end(ctx, session, auth.EventLogout, from, nil)
}

// end tells of a session that ended, also when the client has hung up: a thief cannot keep his reuse out of the history.
func (s *Service) end(ctx context.Context, session auth.Session, why auth.LoginEventType, from auth.Client, cause error) error {
	ctx = context.WithoutCancel(ctx)
	s.Push.Push(ctx, auth.Revocation{SessionID: session.ID, At: session.RevokedAt})
	e := auth.LoginEvent{
		ID: s.NewID(), UserID: session.UserID, Known: true, Type: why, Success: cause == nil, Client: from, At: s.Now(),
	}
	if cause != nil {
		e.Reason = string(fault.From(cause).Code())
	}
	return s.History.Append(ctx, e)
}
