package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/operations"
)

// Caller is the person who administers: a member of staff, or a user of the command line on the machine.
type Caller struct {
	UserID auth.UserID // empty for the command line
	Name   string      // as it stands in the audit log
	Roles  []auth.Role
	From   auth.Client
}

// By returns the caller of a request.
func By(p auth.Principal, from auth.Client) Caller {
	return Caller{UserID: p.UserID, Name: string(p.UserID), Roles: p.Roles, From: from}
}

// CommandLine returns the caller of a command, named by the account of the operating system. Access to the command line
// includes the database and the keyring, so this caller may do what an ADMIN may.
func CommandLine(account string) Caller {
	return Caller{Name: string(auth.AtConsole(account)), Roles: []auth.Role{auth.Admin},
		From: auth.Client{UserAgent: "phonebillctl"}}
}

// staff fails with FORBIDDEN for any other caller, whatever the caller's permissions.
func (c Caller) staff() error {
	if (auth.Principal{Roles: c.Roles}).Staff() {
		return nil
	}
	return fault.New(fault.PermissionDenied)
}

// The actions, as they stand in the audit log.
const (
	actSearch        = "USERS_SEARCHED"
	actCreate        = "USER_CREATED"
	actShow          = "USER_SHOWN"
	actReveal        = "USER_REVEALED"
	actUpdate        = "USER_CHANGED"
	actUnlock        = "USER_UNLOCKED"
	actGrant         = "PERMISSION_GRANTED"
	actRevoke        = "PERMISSION_REVOKED"
	actHistory       = "LOGIN_HISTORY_SHOWN"
	actEndSessions   = "SESSIONS_ENDED"
	actListSessions  = "SESSIONS_SHOWN"
	actResetFactor   = "SECOND_FACTOR_RESET"
	actListClashes   = "CLASHING_IDS_SHOWN"
	actListTransfers = "LINE_TRANSFERS_SHOWN"
	actTransfer      = "LINE_TRANSFERRED"
	actRotateKeys    = "SIGNING_KEY_ROTATED"
	actReplaceKeys   = "SIGNING_KEYS_REPLACED"
	actRetireKey     = "SIGNING_KEY_RETIRED"
	actMintService   = "SERVICE_KEY_MINTED"
	actEndService    = "SERVICE_KEY_RETIRED"
)

// call is what the audit log records of a call.
type call struct {
	Caller
	action  string
	account auth.UserID // the account that is read or changed; empty when the call takes none
	subject string      // what the audit log names: account unless the call is about a key, a service or a new account
	// the response shows whether a number that was sent equals one that is masked elsewhere: it takes an exact search
	exact bool
	// lines are those that the account shall have: each one that it does not have yet takes an exact search, since
	// LINE_HELD discloses each.
	lines   []line.Number
	version int // that the account must have, for a change of its lines
	reason  string
	detail  map[string]any // no personal data
}

// entry returns the call's row with an outcome. The two rows of a change carry the same number.
func (s *Service) entry(c call, outcome audit.Outcome) audit.Entry {
	detail, err := json.Marshal(c.detail) // keys in order
	if err != nil {
		detail = []byte(`{}`) // texts and numbers always marshal
	}
	return audit.Entry{
		At: s.Now(), Actor: c.Name, Action: c.action, Subject: cmp.Or(c.subject, string(c.account)), Reason: c.reason,
		Outcome: outcome, Detail: string(detail), IP: c.From.IP,
	}
}

func outcome(err error) audit.Outcome {
	if err == nil {
		return audit.Done
	}
	return audit.Outcome(fault.From(err).Code())
}

// may guards every call: the caller is staff, and may touch the account that the call takes.
// USER_NOT_FOUND for an unknown account.
func (s *Service) may(ctx context.Context, c call) error {
	if err := c.staff(); err != nil {
		return err
	}
	var account auth.User
	if c.account != "" {
		var err error
		if account, err = s.Users.ByID(ctx, c.account); err != nil {
			return err
		}
		if err := auth.MayTouch(c.UserID, c.Roles, account); err != nil {
			return err
		}
	}
	return s.takeSearches(ctx, c, account)
}

// takeSearches takes the exact searches of the call before anything is read. The lines that the command line names are
// free: its users have access to the database.
func (s *Service) takeSearches(ctx context.Context, c call, account auth.User) error {
	n := 0
	if c.UserID != "" {
		n = len(auth.User{Lines: c.lines}.Added(account))
	}
	if c.exact {
		n = max(n, 1)
	}
	for range n {
		if err := s.takeSearch(ctx, c.Caller); err != nil {
			return err
		}
	}
	return nil
}

// searchWindow is the time for which SearchesPerHour are allowed.
const searchWindow = time.Hour

// Spend implements ports.SearchBudget for other services' searches: they are counted with those of Search.
func (s *Service) Spend(ctx context.Context, person string, n line.Number) (string, error) {
	return s.LineIndex(n), s.takeSearch(ctx, Caller{Name: person})
}

// takeSearch takes one of the caller's exact searches: RATE_LIMIT_EXCEEDED and an alert when none is left. Otherwise
// the masked digits could be found by trying.
func (s *Service) takeSearch(ctx context.Context, by Caller) error {
	ok, retryIn, err := s.Searches.Take(ctx, by.Name, s.SearchesPerHour, searchWindow, s.Now())
	if err != nil || ok {
		return err
	}
	s.Alerts.Raise(ctx, operations.Alert{
		Kind: operations.ManySearches, Subject: by.Name,
		Note: fmt.Sprintf("more than %d exact searches within an hour", s.SearchesPerHour),
	})
	return fault.New(fault.RateLimitExceeded).WithMessage(
		"회선번호 조회 한도를 초과하였습니다. 잠시 후 다시 시도해주세요").RetryIn(retryIn)
}

// read runs do, which changes nothing; its row in the audit log is durable before the result is returned, also for a
// refusal.
func (s *Service) read(ctx context.Context, c call, do func() error) error {
	err := s.may(ctx, c)
	if err == nil {
		err = do()
	}
	return errors.Join(err, s.recordOutcome(ctx, c, err))
}

// outcomeTimeout is how long a row may take whose caller may have hung up.
const outcomeTimeout = 5 * time.Second

// recordOutcome records the outcome of a call, also when its caller has hung up.
func (s *Service) recordOutcome(ctx context.Context, c call, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), outcomeTimeout)
	defer cancel()
	return s.Audit.Append(ctx, s.entry(c, outcome(err)))
}

// change runs do, which changes something. Audit log and accounts are two ports without a common transaction: so the
// intent is durable before anything changes, and the outcome after. The second row records as "stored" which version of
// the account was stored, also when something failed after that. When the second row cannot be written the change
// stands, its intent is recorded without an outcome, and the error is reported.
func (s *Service) change(ctx context.Context, c call, do func() error) error {
	err := s.may(ctx, c)
	if err == nil {
		c.reason, err = auth.ParseReason(c.reason)
	}
	if err != nil {
		return errors.Join(err, s.recordOutcome(ctx, c, err))
	}
	if c.detail == nil {
		c.detail = map[string]any{}
	}
	c.detail["call"] = s.NewID().String()
	if err := s.Audit.Append(ctx, s.entry(c, audit.Intended)); err != nil {
		return err
	}
	err = do()
	if trouble := s.recordOutcome(ctx, c, err); trouble != nil {
		s.Report(ctx, trouble)
	}
	return err
}
