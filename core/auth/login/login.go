// Package login is UFR-AUTH-010: log in, refresh, log out. Begin with Service.Login (login.go).
package login

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"phonebill/core/auth"
	"phonebill/core/auth/verify"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/throttle"
	"phonebill/ports"
)

// Service logs customers in and out. All fields are required; it is safe for concurrent use.
type Service struct {
	Users       ports.Users
	Guesses     *verify.Limiter
	Sessions    ports.Sessions
	History     ports.LoginHistory
	Credentials ports.Credentials
	Devices     ports.Devices
	Throttle    ports.Throttle
	Rate        throttle.Rate // of logins, and of refreshes, per address
	Turns       *verify.HashQueue
	Access      ports.AccessTokens
	Refresh     ports.RefreshTokens
	Push        ports.RevocationPush
	Factors     ports.SecondFactors
	Codes       ports.OneTimeCodes
	Policy      auth.SessionPolicy
	Now         ports.Clock
	NewID       ports.IDs
}

// Request is one login as submitted.
type Request struct {
	UserID    auth.UserID
	Password  personal.Secret
	Code      personal.Secret // one-time or recovery code; empty when none was sent
	AutoLogin bool
	Devices   []personal.Secret // device cookies, of any user
	From      auth.Client
}

// Tokens are the result of a login or refresh.
type Tokens struct {
	Access    personal.Secret
	Refresh   personal.Secret
	ExpiresIn time.Duration // of the access token
	User      auth.User
	Principal auth.Principal
	Device    auth.DeviceCookie // of a login; empty after a refresh
	// SessionEnds is when the session ends however busy it is, IdleEnds when it ends if nothing asks with it any more.
	SessionEnds, IdleEnds time.Time
}

// Login returns tokens, or AUTH_001 (wrong), AUTH_002 (wrong for the fifth time), AUTH_003 (locked), AUTH_004 (second
// factor), FORBIDDEN when the account is not active, SERVICE_UNAVAILABLE when too many wait or a store fails, or
// RATE_LIMIT_EXCEEDED. The last two are no guesses and not in the login history; everything else is.
func (s *Service) Login(ctx context.Context, r Request) (Tokens, error) {
	subject, err := s.subject(ctx, r)
	if err != nil {
		return Tokens{}, s.refuse(ctx, r, auth.User{}, err)
	}
	turn, err := s.enter(ctx, r.From, subject)
	if err != nil {
		return Tokens{}, err
	}
	back, err := s.Turns.Take(ctx, turn)
	if err != nil {
		return Tokens{}, err
	}
	defer back()
	user, err := s.authenticate(ctx, r, subject)
	if err != nil {
		return Tokens{}, s.refuse(ctx, r, user, err)
	}
	session, user, err := s.begin(ctx, r, user)
	if err != nil {
		return Tokens{}, s.refuse(ctx, r, user, err)
	}
	tokens, err := s.finish(ctx, r, user, session)
	if err != nil {
		return Tokens{}, errors.Join(err, s.undo(ctx, session))
	}
	tokens.Device = s.device(subject, user)
	return tokens, nil
}

// refuse records a refusal. An internal failure is none, and its store would be called in vain.
func (s *Service) refuse(ctx context.Context, r Request, user auth.User, err error) error {
	if k := fault.From(err).Kind(); k == fault.RateLimited || k == fault.Unavailable {
		return err
	}
	return errors.Join(err, s.record(ctx, r, user, err))
}

// finish writes the login down and issues its tokens.
func (s *Service) finish(ctx context.Context, r Request, user auth.User, session auth.Session) (Tokens, error) {
	if err := errors.Join(s.record(ctx, r, user, nil), s.Users.RecordLogin(ctx, user.UserID, s.Now())); err != nil {
		return Tokens{}, err
	}
	return s.tokens(ctx, user, session)
}

// undo ends a session whose client will not receive it.
func (s *Service) undo(ctx context.Context, session auth.Session) error {
	ctx, done := ports.RecordContext(ctx)
	defer done()
	_, err := s.Sessions.Change(ctx, session.ID, func(x auth.Session) auth.Session { return x.Revoke(s.Now()) })
	return err
}

// enter throttles a login before any guess is taken, and returns its place in the queue for hashing. A known device is
// exempt from the bucket of its address, which strangers may share, and has one of its account; what exceeds that is
// counted as if the device were not known.
func (s *Service) enter(ctx context.Context, from auth.Client, subject auth.Subject) (verify.HashRequest, error) {
	if !subject.Device.IsZero() {
		account := "account:" + string(subject.UserID)
		if ok, _ := s.Throttle.Take(ctx, account, throttle.KnownDevices(), s.Now()); ok {
			return verify.HashRequest{Key: account, Known: true}, nil
		}
	}
	return verify.HashRequest{Key: throttle.Prefix(from.IP)}, s.admit(ctx, "login:", from)
}

// admit throttles per address; what has a bucket of its own, so that neither logins nor refreshes use up the other's.
// Systems with a service credential call for many users and are exempt.
func (s *Service) admit(ctx context.Context, what string, from auth.Client) error {
	if from.Service != "" {
		return nil
	}
	if ok, retryIn := s.Throttle.Take(ctx, what+throttle.Prefix(from.IP), s.Rate, s.Now()); !ok {
		return fault.New(fault.RateLimitExceeded).RetryIn(retryIn)
	}
	return nil
}

// subject returns the counter that the guess is taken from. A device cookie is valid for an account as it is, so the
// account is read for it; a login without one, or with those of other users, reads nothing before it is throttled.
func (s *Service) subject(ctx context.Context, r Request) (auth.Subject, error) {
	if !slices.ContainsFunc(r.Devices, func(c personal.Secret) bool { return s.Devices.Names(r.UserID, c) }) {
		return auth.Subject{UserID: r.UserID}, nil
	}
	account, err := s.account(ctx, r.UserID)
	return verify.SubjectOf(s.Devices, r.UserID, account, r.Devices), err
}

// authenticate returns the account that the password is right for. The typed id means an account, known or not, before
// a guess is taken: its own id names the counter, so that two accounts whose ids differ in case alone have one each,
// and one account has one however it is typed. It is read again after the guess was taken, which may have waited. For a
// locked id it is returned as well: the history distinguishes known ids from unknown ones.
func (s *Service) authenticate(ctx context.Context, r Request, subject auth.Subject) (user auth.User, err error) {
	meant, err := s.account(ctx, r.UserID)
	if err != nil {
		return auth.User{}, err
	}
	if subject.UserID != meant.UserID {
		subject = auth.Subject{UserID: cmp.Or(meant.UserID, r.UserID.Folded())}
	}
	err = s.Guesses.Try(ctx, subject, func() (verify.Outcome, error) {
		found, err := s.account(ctx, r.UserID)
		switch {
		case err != nil:
			return verify.Unjudged, err
		case found.UserID != meant.UserID: // it means another account by now, which has a counter of its own
			return verify.Unjudged, fault.New(fault.ServiceUnavailable).RetryIn(overtakenRetryAfter)
		}
		user = found
		return s.check(ctx, r, user)
	})
	if errors.Is(err, fault.New(fault.Locked)) {
		return meant, err
	}
	return user, err
}

// account returns the account that a typed id means, and the zero User for an unknown one.
func (s *Service) account(ctx context.Context, typed auth.UserID) (auth.User, error) {
	user, err := s.Users.ByLogin(ctx, typed)
	if errors.Is(err, fault.New(fault.UserNotFound)) {
		return auth.User{}, nil
	}
	return user, err
}

// check verifies the password, then the second factor.
func (s *Service) check(ctx context.Context, r Request, user auth.User) (verify.Outcome, error) {
	if outcome, err := verify.Password(ctx, s.Credentials, user, r.Password); outcome != verify.Right {
		return outcome, err
	}
	return s.secondFactor(ctx, r, user)
}

// overtakenRetryAfter is the Retry-After of a login that a change of the account overtook.
const overtakenRetryAfter = time.Second

// begin starts the session. The account is read once more: when it was changed since the password was checked (another
// password, a suspension), ending its sessions may have missed this one, so it ends at once.
func (s *Service) begin(ctx context.Context, r Request, user auth.User) (auth.Session, auth.User, error) {
	session := s.Policy.NewSession(s.NewID(), user.UserID, r.AutoLogin, r.From, s.Now())
	ended, err := s.Sessions.Create(ctx, session, s.Policy)
	if err != nil {
		return session, user, err
	}
	s.Push.Push(ctx, ended...)
	fresh, err := s.Users.ByID(ctx, user.UserID)
	if err == nil && fresh.Version != user.Version {
		err = fault.New(fault.ServiceUnavailable).RetryIn(overtakenRetryAfter)
	}
	if err != nil {
		return session, user, errors.Join(err, s.undo(ctx, session))
	}
	return session, fresh, nil
}

// device returns the cookie by which this device is known next time, for another year; a new device gets a new one.
func (s *Service) device(subject auth.Subject, user auth.User) auth.DeviceCookie {
	if subject.Device.IsZero() {
		subject.Device = s.NewID()
	}
	return s.Devices.Mint(user, subject.Device)
}

// record stores the outcome, also for a client that hung up: a guess cannot be kept out of the history.
func (s *Service) record(ctx context.Context, r Request, user auth.User, outcome error) error {
	e := auth.LoginEvent{
		ID: s.NewID(), UserID: cmp.Or(user.UserID, r.UserID), Known: user.UserID != "", Type: auth.EventLogin,
		Success: outcome == nil, Client: r.From, At: s.Now(),
	}
	if outcome != nil {
		e.Reason = string(fault.From(outcome).Code())
	}
	switch {
	case errors.Is(outcome, fault.New(fault.LockedNow)):
		e.Type = auth.EventLocked
	case errors.Is(outcome, fault.New(fault.SecondFactor)) && auth.KindOfCode(r.Code) != auth.CodeMissing:
		e.Type = auth.EventMFAFailed // without a code it is the first half of a login
	case outcome == nil && user.SecondFactor && auth.KindOfCode(r.Code) == auth.CodeRecovery:
		e.Type = auth.EventMFARecovery
	case r.AutoLogin:
		e.Type = auth.EventAutoLogin
	}
	ctx, done := ports.RecordContext(ctx)
	defer done()
	return s.History.Append(ctx, e)
}

func (s *Service) tokens(ctx context.Context, user auth.User, session auth.Session) (Tokens, error) {
	now := s.Now()
	expires := now.Add(s.Policy.Access)
	// No token outlives its session, were it idle from now on, or what it grants.
	for _, end := range []time.Time{session.ExpiresAt, now.Add(s.Policy.IdleOf(session)), user.RightsEnd(now)} {
		if !end.IsZero() && end.Before(expires) {
			expires = end
		}
	}
	p := auth.Principal{
		UserID: user.UserID, SessionID: session.ID, CustomerID: user.CustomerID, Lines: user.Lines, Roles: user.Roles,
		Permissions: user.Permissions(now), Epoch: user.Epoch, ExpiresAt: expires, Duties: user.Duties(),
		Tier: user.Tier,
	}
	access, err := s.Access.Issue(ctx, p, now)
	if err != nil {
		return Tokens{}, err
	}
	return Tokens{
		Access: access, Refresh: s.Refresh.Make(session.ID, session.Generation),
		ExpiresIn: expires.Sub(now), User: user, Principal: p, SessionEnds: session.ExpiresAt,
		IdleEnds: s.Policy.IdleEnd(session),
	}, nil
}

// Renew returns new tokens for a refresh token: one successor per token under any concurrency, the family's newest pair
// again within the grace of its own rotation; REFRESH_TOKEN_REUSED after it, which ends the session; else
// REFRESH_TOKEN_INVALID, with the reason when the session is over.
func (s *Service) Renew(ctx context.Context, token personal.Secret, from auth.Client) (Tokens, error) {
	sid, generation, err := s.Refresh.Read(token)
	// never issued: refused without reading any store, so it uses up nothing that the address shares
	if err != nil {
		return Tokens{}, err
	}
	if err := s.admitRenewal(ctx, sid, generation, from); err != nil {
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
	case verdict == auth.RefreshRefused && !s.Policy.Live(session, s.Now()):
		return Tokens{}, fault.New(fault.RefreshTokenInvalid).WithDetail("reason", string(s.Policy.Over(session, s.Now())))
	case verdict == auth.RefreshRefused:
		return Tokens{}, fault.New(fault.RefreshTokenInvalid)
	}
	user, err := s.Users.ByID(ctx, session.UserID)
	switch {
	case errors.Is(err, fault.New(fault.UserNotFound)),
		err == nil && (user.Status != auth.Active || user.Staff() && !user.SecondFactor):
		return Tokens{}, fault.New(fault.RefreshTokenInvalid)
	case err != nil:
		return Tokens{}, err
	}
	return s.tokens(ctx, user, session)
}

// admitRenewal throttles a refresh: first per session, then per address, for a token that can still be exchanged. One
// that is spent, or whose session is over, uses up nothing that the address shares: its owner could keep the address's
// other customers from refreshing.
func (s *Service) admitRenewal(ctx context.Context, sid id.ID, generation int, from auth.Client) error {
	if s.Rate.PerMinute > 0 && from.Service == "" {
		if ok, retryIn := s.Throttle.Take(ctx, "session:"+sid.String(), throttle.Session(), s.Now()); !ok {
			return fault.New(fault.RateLimitExceeded).RetryIn(retryIn)
		}
	}
	held, err := s.Sessions.Get(ctx, sid)
	switch {
	case errors.Is(err, fault.New(fault.ResourceNotFound)):
		return fault.New(fault.RefreshTokenInvalid)
	case err != nil:
		return err
	// a copy that is some seconds old must not make a valid token look reused
	case !s.Policy.Live(held, s.Now()), generation < held.Generation:
		return nil
	}
	return s.admit(ctx, "refresh:", from)
}

// Logout ends the caller's session; its tokens are refused everywhere within a second (ADR 14). Logging out twice is no
// error.
func (s *Service) Logout(ctx context.Context, sid id.ID, from auth.Client) error {
	session, err := s.Sessions.Change(ctx, sid,
		func(old auth.Session) auth.Session { return old.RevokeFor(auth.EndedByLogout, s.Now()) })
	if err != nil {
		return err
	}
	return s.end(ctx, session, auth.EventLogout, from, nil)
}

// end records and pushes the end of a session, also when the client has hung up: a thief cannot keep a reuse out of the
// history.
func (s *Service) end(
	ctx context.Context, session auth.Session, why auth.LoginEventType, from auth.Client, cause error,
) error {
	ctx, done := ports.RecordContext(ctx)
	defer done()
	s.Push.Push(ctx, auth.Revocation{SessionID: session.ID, At: session.RevokedAt, Why: session.EndReason})
	e := auth.LoginEvent{
		ID: s.NewID(), UserID: session.UserID, Known: true, Type: why, Success: cause == nil, Client: from, At: s.Now(),
	}
	if cause != nil {
		e.Reason = string(fault.From(cause).Code())
	}
	return s.History.Append(ctx, e)
}
