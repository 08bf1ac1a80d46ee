package auth

import (
	"fmt"
	"time"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
)

// HeldLineError means that another account holds the line: LINE_HELD. It keeps the number for the verb that proposes a
// transfer; its text and its public face do not show it in clear.
type HeldLineError struct {
	Line  line.Number
	fault *fault.Error
}

// HeldLine returns the error of an account that would get a line which another account holds.
func HeldLine(n line.Number) *HeldLineError {
	return &HeldLineError{Line: n, fault: fault.New(fault.LineHeld).
		WithField("lines", "다른 계정이 보유한 회선입니다").WithDetail("lineNumber", n.String())}
}

// Error returns the text of the public face.
func (e *HeldLineError) Error() string { return e.fault.Error() }

// Unwrap returns the public face.
func (e *HeldLineError) Unwrap() error { return e.fault }

// Of returns the public face with the transfer that waits for a second person.
func (e *HeldLineError) Of(t LineTransfer) error {
	until := t.ExpiresAt.UTC().Format(time.RFC3339)
	return e.fault.WithDetail("transferId", t.ID.String()).WithDetail("expiresAt", until).
		Because(fmt.Errorf("transfer %s waits for a second person until %s", t.ID, until))
}

// TransferLifetime is how long a transfer waits for a second person.
const TransferLifetime = 24 * time.Hour

// LineTransfer is the request of a member of staff that a line which one account holds goes to another account. A
// second member of staff confirms it, or it expires.
type LineTransfer struct {
	ID          id.ID
	Line        string // masked
	To          UserID // may not exist yet; empty for a line that was taken, see Taken
	ProposedBy  string // as it stands in the audit log
	Reason      string
	ProposedAt  time.Time
	ExpiresAt   time.Time
	ConfirmedBy string // empty while it waits
	ConfirmedAt time.Time
}

// Propose returns a transfer that waits from now on.
func Propose(tid id.ID, n line.Number, to UserID, by, reason string, now time.Time) LineTransfer {
	return LineTransfer{
		ID: tid, Line: n.String(), To: to, ProposedBy: by, Reason: reason, ProposedAt: now,
		ExpiresAt: now.Add(TransferLifetime),
	}
}

// Taken returns the transfer which records that a member of staff took the line from its account. As long as it waits,
// the same person cannot give the line to an account: taking it from one and giving it to another would be a transfer
// without a second person.
func Taken(tid id.ID, n line.Number, by, reason string, now time.Time) LineTransfer {
	return Propose(tid, n, "", by, reason, now)
}

// Took reports whether the transfer is a line that was taken: confirming it moves nothing and frees the line.
func (t LineTransfer) Took() bool { return t.To == "" }

// Waits reports whether the transfer can still be confirmed at now.
func (t LineTransfer) Waits(now time.Time) bool {
	return t.ConfirmedBy == "" && now.Before(t.ExpiresAt)
}

// Confirm returns the transfer after a second person has agreed. CONFLICT, with a reason, when it does not wait any
// more or the same person proposed it.
func (t LineTransfer) Confirm(by string, now time.Time) (LineTransfer, error) {
	refused := func(reason, message string) (LineTransfer, error) {
		return t, fault.New(fault.StateConflict).WithMessage(message).WithDetail("reason", reason)
	}
	switch {
	case t.ConfirmedBy != "":
		return refused("ALREADY_CONFIRMED", "이미 승인된 회선 이전입니다")
	case !now.Before(t.ExpiresAt):
		return refused("EXPIRED", "승인 기한이 지난 회선 이전입니다. 다시 신청해주세요")
	case UserID(t.ProposedBy).Same(UserID(by)):
		return refused("OWN_PROPOSAL", "본인이 신청한 회선 이전은 다른 담당자가 승인해야 합니다")
	}
	t.ConfirmedBy, t.ConfirmedAt = by, now
	return t, nil
}

// LineReleased returns the CONFLICT for a transfer whose line no account holds any more: the call that was refused can
// be sent again.
func LineReleased() error {
	return fault.New(fault.StateConflict).WithMessage("이미 해제된 회선입니다. 처음 요청을 다시 보내주세요").
		WithDetail("reason", "LINE_RELEASED")
}

// WithoutLine returns the account without the line.
func (u User) WithoutLine(n line.Number) User {
	var kept []line.Number
	for _, l := range u.Lines {
		if l != n {
			kept = append(kept, l)
		}
	}
	u.Lines = kept
	return u
}

// WithLine returns the account with the line as its last.
func (u User) WithLine(n line.Number) User {
	u = u.WithoutLine(n)
	u.Lines = append(u.Lines, n)
	return u
}

// Added returns the lines that an account has and had not before.
func (u User) Added(before User) []line.Number {
	var added []line.Number
	for _, n := range u.Lines {
		if len(before.WithoutLine(n).Lines) == len(before.Lines) {
			added = append(added, n)
		}
	}
	return added
}
