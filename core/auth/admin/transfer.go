package admin

import (
	"context"
	"errors"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/ports"
)

// namedLine is a line as the audit log names it: masked for a person, and by its keyed hash for a search of all rows
// about one line.
type namedLine struct {
	Line  string `json:"line"`
	Index string `json:"index"`
}

func (s *Service) named(lines []line.Number) []namedLine {
	named := make([]namedLine, len(lines))
	for i, n := range lines {
		named[i] = namedLine{n.String(), s.LineIndex(n)}
	}
	return named
}

// propose turns LINE_HELD into a transfer that a second member of staff may confirm, and adds its number to the error.
// Any other error stays as it is.
func (s *Service) propose(
	ctx context.Context, by Caller, to auth.UserID, reason string, detail map[string]any, err error,
) error {
	var held *auth.HeldLineError
	if !errors.As(err, &held) {
		return err
	}
	t, err := s.Transfers.Propose(ctx, held.Line, auth.Propose(s.NewID(), held.Line, to, by.Name, reason, s.Now()))
	if err != nil {
		return err
	}
	detail["transfer"], detail["held"] = t.ID.String(), s.named([]line.Number{held.Line})[0]
	return held.Of(t)
}

// handOver keeps one person from moving a line alone: LINE_HELD for a line that the caller took from an account, until
// a second one confirms or 24 h are over. Those that the call takes from the account are noted before they are free, so
// that no parallel call gets in between; before is the account that is changed, at the version that the change asks
// for.
func (s *Service) handOver(ctx context.Context, c call, before auth.User) error {
	after := auth.User{Lines: c.lines}
	t, n, taken, err := s.Transfers.TakenBy(ctx, after.Added(before), c.Name, s.Now())
	switch {
	case err != nil:
		return err
	case taken:
		c.detail["transfer"], c.detail["held"] = t.ID.String(), s.named([]line.Number{n})[0]
		return auth.HeldLine(n).Of(t)
	}
	for _, n := range before.Added(after) {
		if _, err := s.Transfers.Propose(ctx, n, auth.Taken(s.NewID(), n, c.Name, c.reason, s.Now())); err != nil {
			return err
		}
	}
	return nil
}

// ListTransfers returns one page of the transfers of lines that wait for a second person, those that expire first
// before the others, and how many there are. Pages count from 1.
func (s *Service) ListTransfers(
	ctx context.Context, by Caller, page, size int,
) (waiting []auth.LineTransfer, total int, err error) {
	err = s.read(ctx, call{Caller: by, action: actListTransfers, subject: "line transfers"}, func() (err error) {
		waiting, total, err = s.Transfers.Waiting(ctx, s.Now(), page, size)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return waiting, total, nil
}

// ConfirmTransfer confirms a transfer as a second member of staff: the accounts that hold the line lose it, and the
// account it was proposed for gets it; when that does not exist yet, the creation that was refused can be sent again.
// NOT_FOUND for an unknown transfer, CONFLICT as auth.LineTransfer.Confirm and auth.LineReleased say, and the errors of
// auth.MayChange for each account concerned.
func (s *Service) ConfirmTransfer(
	ctx context.Context, by Caller, tid id.ID, reason string,
) (t auth.LineTransfer, err error) {
	detail := map[string]any{}
	c := call{Caller: by, action: actTransfer, subject: tid.String(), reason: reason, detail: detail}
	err = s.change(ctx, c, func() error {
		var changes []ports.AccountChange
		t, changes, err = s.Transfers.Confirm(ctx, tid,
			func(t auth.LineTransfer, concerned []ports.AccountChange) (auth.LineTransfer, error) {
				for _, x := range concerned {
					if err := auth.MayChange(by.UserID, by.Roles, x.Before, x.After); err != nil {
						return t, err
					}
				}
				return t.Confirm(by.Name, s.Now())
			})
		if err != nil {
			return err
		}
		accounts := map[auth.UserID]any{}
		for _, x := range changes {
			accounts[x.After.UserID] = map[string]any{stored: x.After.Version, "before": s.facts(x.Before),
				"after": s.facts(x.After)}
		}
		detail["accounts"], detail["proposedBy"] = accounts, t.ProposedBy
		for _, x := range changes {
			if err := s.applyRights(ctx, x.Before, x.After); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return auth.LineTransfer{}, err
	}
	return t, nil
}
