package postgres

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/ports"
)

// LineTransfers implements ports.LineTransfers.
type LineTransfers struct {
	pool  *pgxpool.Pool
	users *Users
}

var _ ports.LineTransfers = (*LineTransfers)(nil)

// NewLineTransfers works on the auth database.
func NewLineTransfers(pool *pgxpool.Pool, vault ports.Vault) *LineTransfers {
	return &LineTransfers{pool: pool, users: NewUsers(pool, vault)}
}

// claim locks the lines until the transaction ends and returns LINE_HELD when another account holds one of them.
func (u *Users) claim(ctx context.Context, q *authdb.Queries, user auth.UserID, lines []line.Number) error {
	if len(lines) == 0 {
		return nil
	}
	indexes := u.lines.indexes(lines)
	if err := q.LockLines(ctx, indexes); err != nil {
		return err
	}
	held, err := q.LineHeldByOther(ctx, authdb.LineHeldByOtherParams{Indexes: indexes, UserID: string(user)})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	at := slices.IndexFunc(indexes, func(index []byte) bool { return bytes.Equal(index, held) })
	return auth.HeldLine(lines[at])
}

// Propose holds the lock of the line, so that one proposal is stored once.
func (l *LineTransfers) Propose(ctx context.Context, n line.Number, t auth.LineTransfer) (auth.LineTransfer, error) {
	index := l.users.lines.index(n)
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		if err := q.LockLines(ctx, [][]byte{index}); err != nil {
			return err
		}
		row, err := q.WaitingTransfer(ctx, authdb.WaitingTransferParams{
			LineIndex: index, ToUser: string(t.To), ProposedBy: t.ProposedBy, Now: t.ProposedAt,
		})
		if err == nil && !t.Took() {
			t = transferNoun(row)
			return nil
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		return q.AddTransfer(ctx, authdb.AddTransferParams{
			ID: uuid.UUID(t.ID), LineIndex: index, LineMasked: t.Line, ToUser: string(t.To), ProposedBy: t.ProposedBy,
			Reason: t.Reason, ProposedAt: t.ProposedAt, ExpiresAt: t.ExpiresAt,
		})
	})
	if err != nil {
		return auth.LineTransfer{}, translate("propose line transfer", err)
	}
	return t, nil
}

// TakenBy searches the unconfirmed transfers by the lines' blind indexes.
func (l *LineTransfers) TakenBy(
	ctx context.Context, lines []line.Number, person string, now time.Time,
) (auth.LineTransfer, line.Number, bool, error) {
	indexes := l.users.lines.indexes(lines)
	row, err := authdb.New(l.pool).TakenLine(ctx, authdb.TakenLineParams{
		Indexes: indexes, Folded: string(auth.UserID(person).Folded()), Now: now,
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return auth.LineTransfer{}, line.Number{}, false, nil
	case err != nil:
		return auth.LineTransfer{}, line.Number{}, false, translate("read lines that were taken", err)
	}
	at := slices.IndexFunc(indexes, func(index []byte) bool { return bytes.Equal(index, row.LineIndex) })
	return transferNoun(row), lines[at], true, nil
}

// Waiting returns one page of the unconfirmed transfers, and how many there are.
func (l *LineTransfers) Waiting(
	ctx context.Context, now time.Time, page, size int,
) ([]auth.LineTransfer, int, error) {
	q := authdb.New(l.pool)
	total, err := q.CountWaitingTransfers(ctx, now)
	if err != nil {
		return nil, 0, translate("count line transfers", err)
	}
	rows, err := q.WaitingTransfers(ctx, authdb.WaitingTransfersParams{
		Now: now, Most: int64(size), Skipped: int64((page - 1) * size),
	})
	if err != nil {
		return nil, 0, translate("read line transfers", err)
	}
	var waiting []auth.LineTransfer
	for _, row := range rows {
		waiting = append(waiting, transferNoun(row))
	}
	return waiting, int(total), nil
}

// Confirm locks the transfer, then the accounts in the order of their ids, then the line.
func (l *LineTransfers) Confirm(
	ctx context.Context, tid id.ID, decide ports.DecideTransfer,
) (t auth.LineTransfer, changes []ports.AccountChange, err error) {
	err = pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		row, err := q.LockTransfer(ctx, uuid.UUID(tid))
		if err != nil {
			return err
		}
		var held []authdb.User
		took := transferNoun(row).Took()
		if !took {
			if changes, held, err = l.concerned(ctx, q, row); err != nil {
				return err
			}
		}
		if t, err = decide(transferNoun(row), changes); err != nil {
			return err
		}
		if !took &&
			!slices.ContainsFunc(changes, func(c ports.AccountChange) bool { return string(c.Before.UserID) != row.ToUser }) {
			return auth.LineReleased()
		}
		for i, c := range changes {
			changes[i].After = c.After.Changed(c.Before)
			if err := l.users.save(ctx, q, changes[i].After, c.Before, held[i]); err != nil {
				return err
			}
		}
		return q.ConfirmTransfer(ctx, authdb.ConfirmTransferParams{
			ID: row.ID, ConfirmedBy: &t.ConfirmedBy, ConfirmedAt: optional(t.ConfirmedAt),
		})
	})
	if err != nil {
		return auth.LineTransfer{}, nil, translate("confirm line transfer", err, fault.ResourceNotFound)
	}
	return t, changes, nil
}

// concerned locks and reads the accounts that hold the line and the account that gets it, before and after, each with
// its row.
func (l *LineTransfers) concerned(
	ctx context.Context, q *authdb.Queries, t authdb.LineTransfer,
) (changes []ports.AccountChange, held []authdb.User, err error) {
	holders, err := holdersOf(ctx, q, t.LineIndex)
	if err != nil {
		return nil, nil, err
	}
	users := append(slices.DeleteFunc(slices.Clone(holders), func(user string) bool { return user == t.ToUser }), t.ToUser)
	for _, user := range slices.Sorted(slices.Values(users)) {
		if err := q.LockUser(ctx, user); err != nil {
			return nil, nil, err
		}
	}
	if err := q.LockLines(ctx, [][]byte{t.LineIndex}); err != nil {
		return nil, nil, err
	}
	if now, err := holdersOf(ctx, q, t.LineIndex); err != nil || !slices.Equal(now, holders) {
		return nil, nil, errors.Join(err, fault.New(fault.StateConflict))
	}
	var number line.Number
	for _, user := range users { // the account that gets the line comes last
		row, err := q.UserByID(ctx, user)
		if errors.Is(err, pgx.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		before := l.users.noun(row)
		for _, n := range before.Lines {
			if bytes.Equal(l.users.lines.index(n), t.LineIndex) {
				number = n
			}
		}
		after := own(before).WithoutLine(number)
		if user == t.ToUser && !number.IsZero() {
			after = own(before).WithLine(number)
		}
		changes, held = append(changes, ports.AccountChange{Before: before, After: after}), append(held, row.User)
	}
	return changes, held, nil
}

func holdersOf(ctx context.Context, q *authdb.Queries, index []byte) ([]string, error) {
	rows, err := q.LineHolders(ctx, [][]byte{index})
	holders := make([]string, len(rows))
	for i, row := range rows {
		holders[i] = row.UserID
	}
	return slices.Compact(holders), err
}

func transferNoun(row authdb.LineTransfer) auth.LineTransfer {
	t := auth.LineTransfer{
		ID: id.ID(row.ID), Line: row.LineMasked, To: auth.UserID(row.ToUser), ProposedBy: row.ProposedBy, Reason: row.Reason,
		ProposedAt: row.ProposedAt.UTC(), ExpiresAt: row.ExpiresAt.UTC(), ConfirmedAt: moment(row.ConfirmedAt),
	}
	if row.ConfirmedBy != nil {
		t.ConfirmedBy = *row.ConfirmedBy
	}
	return t
}
