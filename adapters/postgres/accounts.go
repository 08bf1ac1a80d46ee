package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/line"
	"phonebill/ports"
)

// Accounts implements ports.Accounts and ports.AccountImport.
type Accounts struct {
	pool  *pgxpool.Pool
	vault ports.Vault
	users *Users
}

var (
	_ ports.Accounts      = (*Accounts)(nil)
	_ ports.AccountImport = (*Accounts)(nil)
)

// NewAccounts works on the auth database.
func NewAccounts(pool *pgxpool.Pool, vault ports.Vault) *Accounts {
	return &Accounts{pool: pool, vault: vault, users: NewUsers(pool, vault)}
}

// Search makes three queries whatever it finds: for the ids, their accounts, their locks.
func (a *Accounts) Search(ctx context.Context, f auth.AccountFilter) ([]auth.Account, int, error) {
	q := authdb.New(a.pool)
	ids, total, err := a.find(ctx, q, f)
	if err != nil {
		return nil, 0, translate("search accounts", err)
	}
	rows, err := q.UsersByIDs(ctx, ids)
	if err != nil {
		return nil, 0, translate("read accounts", err)
	}
	locks, err := a.locks(ctx, q, ids)
	if err != nil {
		return nil, 0, translate("read locks", err)
	}
	found := make([]auth.Account, len(rows))
	for i, row := range rows {
		found[i] = auth.Account{
			User: a.users.noun(authdb.UserByIDRow(row)), LockedUntil: locks[string(a.subject(row.User.UserID))],
		}
	}
	return found, int(total), nil
}

// find picks the most selective of the conditions; its index drives the search.
func (a *Accounts) find(
	ctx context.Context, q *authdb.Queries, f auth.AccountFilter,
) (ids []string, total int64, err error) {
	skip, size, most := skip(f.Page, f.Size), int64(f.Size), int64(auth.MaxCounted)
	folded, status := string(f.UserID.Folded()), string(f.Status)
	number := []byte{}
	if !f.Line.IsZero() {
		number = a.users.lines.index(f.Line)
	}
	var row authdb.SearchAllUsersRow
	switch {
	case f.Status == auth.LockedOut:
		var r authdb.SearchLockedUsersRow
		r, err = q.SearchLockedUsers(ctx, authdb.SearchLockedUsersParams{
			Now: f.Now, Folded: folded, CustomerID: f.CustomerID, LineIndex: number, Most: most, Skip: skip, Size: size,
		})
		row = authdb.SearchAllUsersRow(r)
	case f.UserID != "":
		var r authdb.SearchUsersByIDRow
		r, err = q.SearchUsersByID(ctx, authdb.SearchUsersByIDParams{
			Folded: folded, CustomerID: f.CustomerID, Status: status, LineIndex: number, Most: most, Skip: skip, Size: size,
		})
		row = authdb.SearchAllUsersRow(r)
	case !f.Line.IsZero():
		var r authdb.SearchUsersByLineRow
		r, err = q.SearchUsersByLine(ctx, authdb.SearchUsersByLineParams{
			LineIndex: number, CustomerID: f.CustomerID, Status: status, Most: most, Skip: skip, Size: size,
		})
		row = authdb.SearchAllUsersRow(r)
	case f.CustomerID != "":
		var r authdb.SearchUsersByCustomerRow
		r, err = q.SearchUsersByCustomer(ctx, authdb.SearchUsersByCustomerParams{
			CustomerID: f.CustomerID, Status: status, Most: most, Skip: skip, Size: size,
		})
		row = authdb.SearchAllUsersRow(r)
	case f.Status != "":
		var r authdb.SearchUsersByStatusRow
		r, err = q.SearchUsersByStatus(ctx,
			authdb.SearchUsersByStatusParams{Status: status, Most: most, Skip: skip, Size: size})
		row = authdb.SearchAllUsersRow(r)
	default:
		row, err = q.SearchAllUsers(ctx, authdb.SearchAllUsersParams{Most: most, Skip: skip, Size: size})
	}
	return row.Ids, row.Total, err
}

func (a *Accounts) locks(ctx context.Context, q *authdb.Queries, ids []string) (map[string]time.Time, error) {
	rows, err := q.LocksOf(ctx, each(ids, a.subject))
	locks := make(map[string]time.Time, len(rows))
	for _, row := range rows {
		locks[string(row.Subject)] = moment(row.LockedUntil)
	}
	return locks, err
}

func (a *Accounts) subject(user string) []byte {
	return a.vault.Index(subject, user)
}

// Clashes walks the index of the folded ids.
func (a *Accounts) Clashes(ctx context.Context, most int) ([]auth.UserID, error) {
	ids, err := authdb.New(a.pool).ClashingUserIDs(ctx, int64(most))
	return nouns(ids, err, "look for ids that clash", func(user string) auth.UserID { return auth.UserID(user) })
}

// Known returns which ids are taken in any case.
func (a *Accounts) Known(ctx context.Context, users []auth.UserID) (map[auth.UserID]time.Time, error) {
	asked := each(users, func(user auth.UserID) string { return string(user.Folded()) })
	rows, err := authdb.New(a.pool).KnownUsers(ctx, asked)
	if err != nil {
		return nil, translate("look for accounts", err)
	}
	since := make(map[auth.UserID]time.Time, len(rows))
	for _, row := range rows {
		since[auth.UserID(row.UserID).Folded()] = row.CreatedAt.UTC()
	}
	known := make(map[auth.UserID]time.Time, len(rows))
	for _, user := range users {
		if at, taken := since[user.Folded()]; taken {
			known[user] = at
		}
	}
	return known, nil
}

// AddAll writes all accounts with four statements in one transaction.
func (a *Accounts) AddAll(ctx context.Context, users []auth.User) (int, error) {
	rows, err := a.rows(users)
	if err != nil {
		return 0, translate("seal accounts", err)
	}
	var added []string
	err = pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) (err error) {
		q := authdb.New(tx)
		if added, err = q.AddUsers(ctx, rows); err != nil {
			return err
		}
		if err := a.claim(ctx, q, users, added); err != nil {
			return err
		}
		return a.addRights(ctx, q, users, added)
	})
	if err != nil {
		return 0, translate("add accounts", err)
	}
	return len(added), nil
}

// claim is Users.claim for all lines of the accounts that were added. These have no lines yet, so a line that is held
// is held by another account.
func (a *Accounts) claim(ctx context.Context, q *authdb.Queries, users []auth.User, added []string) error {
	var lines []line.Number
	for _, user := range users {
		if slices.Contains(added, string(user.UserID)) {
			lines = append(lines, user.Lines...)
		}
	}
	return a.users.claim(ctx, q, "", lines)
}

// Holders searches by the lines' blind indexes.
func (a *Accounts) Holders(ctx context.Context, lines []line.Number) (map[line.Number]auth.UserID, error) {
	rows, err := authdb.New(a.pool).LineHolders(ctx, a.users.lines.indexes(lines))
	if err != nil {
		return nil, translate("look for lines", err)
	}
	known, holders := a.users.lines.known(lines), map[line.Number]auth.UserID{}
	for _, row := range rows {
		holders[known(row.LineIndex)] = auth.UserID(row.UserID)
	}
	return holders, nil
}

func (a *Accounts) rows(users []auth.User) (p authdb.AddUsersParams, err error) {
	for _, user := range users {
		row, err := a.users.row(user)
		if err != nil {
			return p, err
		}
		p.UserIds, p.Hashes = append(p.UserIds, row.UserID), append(p.Hashes, row.PasswordHash)
		p.Names, p.Customers = append(p.Names, row.NameSealed), append(p.Customers, row.CustomerID)
		p.Phones, p.PhoneIndexes = append(p.Phones, row.PhoneSealed), append(p.PhoneIndexes, row.PhoneIndex)
		p.Emails, p.EmailIndexes = append(p.Emails, row.EmailSealed), append(p.EmailIndexes, row.EmailIndex)
		p.Statuses, p.Created = append(p.Statuses, row.Status), append(p.Created, row.CreatedAt)
		p.Initial, p.Tiers = append(p.Initial, row.InitialPassword), append(p.Tiers, row.Tier)
	}
	return p, nil
}

func (a *Accounts) addRights(ctx context.Context, q *authdb.Queries, users []auth.User, added []string) error {
	isNew := make(map[string]bool, len(added))
	for _, user := range added {
		isNew[user] = true
	}
	var l authdb.AddLinesOfParams
	var r authdb.AddRolesOfParams
	var g authdb.AddGrantsOfParams
	for _, user := range users {
		if !isNew[string(user.UserID)] {
			continue
		}
		for i, n := range user.Lines {
			sealed, err := a.users.lines.seal(n, linesKeys(string(user.UserID), int64(i+1))...)
			if err != nil {
				return err
			}
			l.UserIds, l.Positions = append(l.UserIds, string(user.UserID)), append(l.Positions, int64(i+1))
			l.Sealed, l.Indexes = append(l.Sealed, sealed), append(l.Indexes, a.users.lines.index(n))
		}
		for _, role := range user.Roles {
			r.UserIds, r.Roles = append(r.UserIds, string(user.UserID)), append(r.Roles, string(role))
		}
		for _, grant := range user.Grants {
			g.UserIds, g.Permissions = append(g.UserIds, string(user.UserID)), append(g.Permissions, string(grant.Permission))
			g.Expiries, g.Given = append(g.Expiries, grant.ExpiresAt), append(g.Given, grant.GrantedAt)
			g.Givers = append(g.Givers, grant.GrantedBy)
		}
	}
	if err := q.AddLinesOf(ctx, l); err != nil {
		return err
	}
	if err := q.AddRolesOf(ctx, r); err != nil {
		return err
	}
	return q.AddGrantsOf(ctx, g)
}

// ExactSearches implements ports.ExactSearches.
type ExactSearches struct{ pool *pgxpool.Pool }

var _ ports.ExactSearches = (*ExactSearches)(nil)

// NewExactSearches works on the auth database.
func NewExactSearches(pool *pgxpool.Pool) *ExactSearches { return &ExactSearches{pool: pool} }

// Take counts in one statement.
func (s *ExactSearches) Take(
	ctx context.Context, person string, most int, per time.Duration, now time.Time,
) (ok bool, retryIn time.Duration, err error) {
	q, since := authdb.New(s.pool), now.Add(-per)
	_, err = q.TakeSearch(ctx, authdb.TakeSearchParams{Person: person, Now: now, Since: since, Most: int64(most)})
	if !errors.Is(err, pgx.ErrNoRows) {
		return err == nil, 0, translate("count search", err)
	}
	oldest, err := q.OldestSearch(ctx, authdb.OldestSearchParams{Person: person, Since: since})
	if errors.Is(err, pgx.ErrNoRows) { // it has become too old meanwhile
		return false, time.Second, nil
	}
	return false, oldest.Sub(since), translate("read searches", err)
}
