// Package admin lets staff administer accounts: search, create, change, unlock, grant and revoke, end sessions
// (UFR-AUTH-020). Every call, also a read and a refusal, is in the audit log with actor, subject and reason (ADR 26).
// Begin with Service.Create (admin.go).
package admin

import (
	"context"
	"fmt"
	"time"

	"phonebill/core/auth"
	"phonebill/core/auth/keys"
	"phonebill/core/auth/selfservice"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Service administers accounts. All fields are required; it is safe for concurrent use.
type Service struct {
	Users    ports.Users
	Accounts ports.Accounts
	Guesses  ports.Guesses
	Sessions ports.Sessions
	History  ports.LoginHistory
	Records  ports.LoginRecords
	Hasher   ports.PasswordHasher
	Factors  *selfservice.SecondFactors // Enrol and Reset are all that is used
	Keys     *keys.SigningKeys
	Services ports.ServiceKeys
	Audit    ports.AuditLog
	Push     ports.RevocationPush
	Report   ports.Report
	Alerts   ports.Alerts
	// Transfers are the lines that need a second person to go from one account to another.
	Transfers ports.LineTransfers
	// Searches counts each person's exact searches, and SearchesPerHour is how many are allowed.
	Searches        ports.ExactSearches
	SearchesPerHour int
	// LineIndex is the keyed hash by which the audit log names a line; the number itself is never in it.
	LineIndex func(line.Number) string
	// CheckPassword refuses a password that no account may have (VALIDATION_ERROR on password).
	CheckPassword func(field string, user auth.UserID, password personal.Secret) error
	// BenchTier allows the tier without a limit, which is for load tests in development.
	BenchTier bool
	Policy    auth.SessionPolicy
	Now       ports.Clock
	NewID     ports.IDs
}

// Search returns one page of the accounts that match and how many match (at most auth.MaxCounted). It fails with
// FORBIDDEN for a caller that is not staff, as every method here. A search for a line takes one of the caller's exact
// searches: RATE_LIMIT_EXCEEDED when none is left. The audit log names the line masked and by its keyed hash.
func (s *Service) Search(
	ctx context.Context, by Caller, f auth.AccountFilter,
) (found []auth.Account, total int, err error) {
	f.Now = s.Now()
	detail := map[string]any{"customerId": f.CustomerID, "line": f.Line.String(), "status": f.Status, "page": f.Page,
		"size": f.Size}
	if !f.Line.IsZero() {
		detail["lineIndex"] = s.LineIndex(f.Line)
	}
	c := call{Caller: by, action: actSearch, subject: string(f.UserID), detail: detail, exact: !f.Line.IsZero()}
	err = s.read(ctx, c, func() (err error) {
		found, total, err = s.Accounts.Search(ctx, f)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return found, total, nil
}

// New is an account to create.
type New struct {
	UserID     auth.UserID
	Password   personal.Secret
	Name       personal.Name
	Phone      line.Number
	Email      personal.Email
	CustomerID string
	Lines      []line.Number
	Roles      []auth.Role
	Grants     []auth.Permission // for good
	Reason     string
}

// Created is a new account; Enrolment is set for staff, and seen this once.
type Created struct {
	auth.Account
	Enrolment *selfservice.Enrolment
}

// Create makes an account: CONFLICT when the id is taken, LINE_HELD when another account holds one of the lines (see
// ConfirmTransfer), VALIDATION_ERROR for a bad password or rights that do not fit. Each line takes an exact search. The
// password is an initial one: its owner has to change it first. Staff get a second factor with it: their account is
// INACTIVE until that is stored, so that it never works without.
func (s *Service) Create(ctx context.Context, by Caller, n New) (made Created, err error) {
	now := s.Now()
	user := auth.User{
		UserID: n.UserID, Name: n.Name, Phone: n.Phone, Email: n.Email, CustomerID: n.CustomerID, Lines: n.Lines,
		Roles: n.Roles, Status: auth.Active, CreatedAt: now, InitialPassword: true,
	}
	detail := map[string]any{"roles": n.Roles, "lines": s.named(n.Lines), "permissions": n.Grants,
		"customerId": n.CustomerID}
	c := call{Caller: by, action: actCreate, subject: string(n.UserID), reason: n.Reason, detail: detail, lines: n.Lines}
	err = s.change(ctx, c, func() error {
		for _, p := range n.Grants {
			user.Grants = append(user.WithoutGrant(p).Grants, auth.Grant{Permission: p, GrantedBy: by.Name, GrantedAt: now})
		}
		if user.Staff() {
			user.Status, user.FactorHandedOver = auth.Inactive, true
		}
		if err := auth.MayChange(by.UserID, by.Roles, auth.User{}, user); err != nil {
			return err
		}
		if err := s.handOver(ctx, c, auth.User{}); err != nil {
			return err
		}
		if err := s.store(ctx, user, n.Password); err != nil {
			return s.propose(ctx, by, user.UserID, n.Reason, detail, err)
		}
		detail[stored] = 1
		made, err = s.finish(ctx, by, user)
		return err
	})
	return made, err
}

// stored is the fact in the audit log that names the stored version.
const stored = "stored"

func (s *Service) store(ctx context.Context, user auth.User, password personal.Secret) error {
	err := s.CheckPassword("password", user.UserID, password)
	if err != nil {
		return err
	}
	if user.PasswordHash, err = s.Hasher.Hash(ctx, password); err != nil {
		return err
	}
	return s.Users.Create(ctx, user)
}

// finish gives staff their second factor and only then lets them in.
func (s *Service) finish(ctx context.Context, by Caller, user auth.User) (made Created, err error) {
	if user.Staff() {
		enrolment, err := s.Factors.Enrol(ctx, user.UserID, by.From)
		if err != nil {
			return made, err
		}
		made.Enrolment = &enrolment
		if _, err := s.Users.Change(ctx, user.UserID, func(u auth.User) (auth.User, error) {
			u.Status = auth.Active
			return u, auth.MayChange(by.UserID, by.Roles, u, u)
		}); err != nil {
			return made, err
		}
	}
	made.Account, err = s.account(ctx, user.UserID)
	return made, err
}

// account reads an account with its lock.
func (s *Service) account(ctx context.Context, user auth.UserID) (a auth.Account, err error) {
	if a.User, err = s.Users.ByID(ctx, user); err != nil {
		return auth.Account{}, err
	}
	attempts, err := s.Guesses.Peek(ctx, auth.Subject{UserID: user})
	a.LockedUntil = attempts.LockedUntil
	return a, err
}

// Show returns an account, or USER_NOT_FOUND. The adapter masks personal data.
func (s *Service) Show(ctx context.Context, by Caller, user auth.UserID) (found auth.Account, err error) {
	err = s.read(ctx, call{Caller: by, action: actShow, account: user}, func() (err error) {
		found, err = s.account(ctx, user)
		return err
	})
	return found, err
}

// Reveal returns an account to be shown in clear, for a reason.
func (s *Service) Reveal(
	ctx context.Context, by Caller, user auth.UserID, reason string,
) (found auth.Account, err error) {
	reason, bad := auth.ParseReason(reason)
	err = s.read(ctx, call{Caller: by, action: actReveal, account: user, reason: reason}, func() (err error) {
		if bad != nil {
			return bad
		}
		found, err = s.account(ctx, user)
		return err
	})
	if err != nil {
		return auth.Account{}, err
	}
	return found, nil
}

// Update is a change of an account; nil leaves a value as it is. Version is that of the account as the caller read it.
type Update struct {
	Status *auth.Status
	Roles  []auth.Role
	Lines  *[]line.Number
	// CustomerID is the carrier's customer that the account belongs to; nil leaves it as it is.
	CustomerID *string
	Tier       *auth.Tier
	Version    int
	Reason     string
}

// Update changes status, roles, customer id, lines or tier. It fails with CONFLICT when the account has changed since
// the caller read it (or as auth.MayChange says, or for the last administrator), with LINE_HELD when another account
// holds an added line (see ConfirmTransfer), and with VALIDATION_ERROR for the tier BENCH unless BenchTier. Older
// tokens are refused within a second; an account that is not ACTIVE any more has no session left.
func (s *Service) Update(ctx context.Context, by Caller, user auth.UserID, x Update) (auth.Account, error) {
	detail := map[string]any{"version": x.Version}
	if x.Status != nil {
		detail["status"] = *x.Status
	}
	if x.Roles != nil {
		detail["roles"] = x.Roles
	}
	if x.CustomerID != nil {
		detail["customerId"] = *x.CustomerID
	}
	if x.Tier != nil {
		detail["tier"] = *x.Tier
	}
	// The result of setting an account's lines discloses whether they are the masked ones that it has, or another
	// account's.
	c := call{Caller: by, action: actUpdate, account: user, reason: x.Reason, detail: detail, exact: x.Lines != nil}
	if x.Lines != nil {
		c.lines = *x.Lines
		detail["lines"] = s.named(c.lines)
	}
	c.version = x.Version
	return s.alter(ctx, c, func(u auth.User) (auth.User, error) {
		if u.Version != x.Version {
			return u, stale()
		}
		if x.Status != nil {
			u.Status = *x.Status
		}
		if x.Roles != nil {
			u.Roles = x.Roles
		}
		if x.CustomerID != nil {
			u.CustomerID = *x.CustomerID
		}
		if x.Lines != nil {
			u.Lines = *x.Lines
		}
		if x.Tier != nil {
			u.Tier = x.Tier.Short()
		}
		if x.Tier != nil && *x.Tier == auth.TierBench && !s.BenchTier {
			return u, fault.InvalidField("tier", "개발 환경에서만 사용할 수 있습니다")
		}
		return u, nil
	})
}

func stale() error {
	return fault.New(fault.StateConflict).WithMessage("다른 곳에서 먼저 변경되었습니다. 다시 조회해주세요").WithDetail(
		"reason", "STALE_VERSION")
}

// Grant gives a permission until expiresAt (zero = for good), in place of an older grant of the same. Tokens without it
// are refused within a second.
func (s *Service) Grant(
	ctx context.Context, by Caller, user auth.UserID, p auth.Permission, expiresAt time.Time, reason string,
) (auth.Account, error) {
	detail := map[string]any{"permission": p}
	if !expiresAt.IsZero() {
		detail["expiresAt"] = expiresAt.UTC().Format(time.RFC3339)
	}
	g := auth.Grant{Permission: p, ExpiresAt: expiresAt.UTC().Truncate(time.Microsecond), GrantedBy: by.Name,
		GrantedAt: s.Now()}
	c := call{Caller: by, action: actGrant, account: user, reason: reason, detail: detail}
	return s.alter(ctx, c, func(u auth.User) (auth.User, error) { return u.WithGrant(g) })
}

// Revoke takes a permission away; none is no error. What a role holds stays.
func (s *Service) Revoke(
	ctx context.Context, by Caller, user auth.UserID, p auth.Permission, reason string,
) (auth.Account, error) {
	c := call{Caller: by, action: actRevoke, account: user, reason: reason, detail: map[string]any{"permission": p}}
	return s.alter(ctx, c, func(u auth.User) (auth.User, error) { return u.WithoutGrant(p), nil })
}

// alter changes an account by the rules and makes the change felt.
func (s *Service) alter(
	ctx context.Context, c call, decide func(auth.User) (auth.User, error),
) (changed auth.Account, err error) {
	err = s.change(ctx, c, func() error {
		var before auth.User
		if c.exact {
			seen, err := s.Users.ByID(ctx, c.account)
			switch {
			case err != nil:
				return err
			case seen.Version != c.version:
				return stale()
			}
			if err := s.handOver(ctx, c, seen); err != nil {
				return err
			}
		}
		after, err := s.Users.Change(ctx, c.account, func(u auth.User) (auth.User, error) {
			before = u
			next, err := decide(u)
			if err != nil {
				return u, err
			}
			return next, auth.MayChange(c.UserID, c.Roles, u, next)
		})
		if err != nil {
			return s.propose(ctx, c.Caller, c.account, c.reason, c.detail, err)
		}
		c.detail[stored], c.detail["before"], c.detail["after"] = after.Version, s.facts(before), s.facts(after)
		if err := s.applyRights(ctx, before, after); err != nil {
			return err
		}
		changed, err = s.account(ctx, c.account)
		return err
	})
	return changed, err
}

// facts returns what the audit log records of an account before and after a change: its rights, its
// lines and its tier.
func (s *Service) facts(u auth.User) map[string]any {
	permissions := make([]auth.Permission, len(u.Grants))
	for i, g := range u.Grants {
		permissions[i] = g.Permission
	}
	return map[string]any{
		"status": u.Status, "roles": u.Roles, "lines": s.named(u.Lines), "permissions": permissions,
		"tier": u.Tier.OrDefault(),
	}
}

// applyRights makes a change of rights effective at once: tokens of the older epoch are refused everywhere; an account
// that is not ACTIVE has no session, and one that has become staff has none that began before, perhaps without a second
// factor.
func (s *Service) applyRights(ctx context.Context, before, after auth.User) error {
	now := s.Now()
	if after.Epoch != before.Epoch {
		s.Push.Push(ctx, auth.Revocation{UserID: after.UserID, Epoch: after.Epoch, At: now})
	}
	if after.Status == auth.Active && (before.Staff() || !after.Staff()) {
		return nil
	}
	_, err := s.endAll(ctx, after.UserID, now)
	return err
}

func (s *Service) endAll(ctx context.Context, user auth.UserID, now time.Time) (int, error) {
	ended, err := s.Sessions.EndAll(ctx, user, id.ID{}, now)
	s.Push.Push(ctx, ended...)
	return len(ended), err
}

// Unlock clears the wrong passwords and the lock of an id, and records that in its login history.
func (s *Service) Unlock(
	ctx context.Context, by Caller, user auth.UserID, reason string,
) (unlocked auth.Account, err error) {
	detail := map[string]any{}
	err = s.change(ctx, call{Caller: by, action: actUnlock, account: user, reason: reason, detail: detail}, func() error {
		if err := s.Guesses.Clear(ctx, user); err != nil {
			return err
		}
		if err := s.record(ctx, user, auth.EventUnlocked, by.From); err != nil {
			return err
		}
		if err := s.watchUnlocks(ctx, user, detail); err != nil {
			return err
		}
		unlocked, err = s.account(ctx, user)
		return err
	})
	return unlocked, err
}

// An account that is unlocked this often in this time may be one whose password is being guessed with the help of
// staff.
const (
	manyUnlocks  = 3
	unlocksSince = 24 * time.Hour
)

// watchUnlocks raises an alert when the account was unlocked many times lately, this time included. No alert names a
// customer: its subject is the number of the call in the audit log, which names the account and the actor.
func (s *Service) watchUnlocks(ctx context.Context, user auth.UserID, detail map[string]any) error {
	n, err := s.Records.CountSince(ctx, user, auth.EventUnlocked, s.Now().Add(-unlocksSince))
	if err != nil || n < manyUnlocks {
		return err
	}
	s.Alerts.Raise(ctx, operations.Alert{
		Kind: operations.OftenUnlocked, Subject: fmt.Sprint(detail["call"]),
		Note: fmt.Sprintf("one account was unlocked %d times within 24 h; look for this call in the audit log", n),
	})
	return nil
}

// LoginHistory returns one page of an account's events, newest first, and how many there are (at most auth.MaxCounted).
func (s *Service) LoginHistory(
	ctx context.Context, by Caller, user auth.UserID, page, size int,
) (events []auth.LoginEvent, total int, err error) {
	detail := map[string]any{"page": page, "size": size}
	err = s.read(ctx, call{Caller: by, action: actHistory, account: user, detail: detail}, func() (err error) {
		events, total, err = s.Records.Page(ctx, user, page, size)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return events, total, nil
}

// ListSessions returns an account's live sessions, newest first.
func (s *Service) ListSessions(ctx context.Context, by Caller, user auth.UserID) (live []auth.Session, err error) {
	err = s.read(ctx, call{Caller: by, action: actListSessions, account: user}, func() (err error) {
		live, err = s.Sessions.Live(ctx, user, s.Policy, s.Now())
		return err
	})
	return live, err
}

// EndSessions ends all sessions of an account and returns how many there were.
func (s *Service) EndSessions(ctx context.Context, by Caller, user auth.UserID, reason string) (ended int, err error) {
	err = s.change(ctx, call{Caller: by, action: actEndSessions, account: user, reason: reason}, func() error {
		if ended, err = s.endAll(ctx, user, s.Now()); err != nil || ended == 0 {
			return err
		}
		return s.record(ctx, user, auth.EventSessionEnded, by.From)
	})
	return ended, err
}

func (s *Service) record(ctx context.Context, user auth.UserID, what auth.LoginEventType, from auth.Client) error {
	ctx, done := ports.RecordContext(ctx)
	defer done()
	return s.History.Append(ctx, auth.LoginEvent{
		ID: s.NewID(), UserID: user, Known: true, Type: what, Success: true, Client: from, At: s.Now(),
	})
}
