package postgres

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Users implements ports.Users. Name, phone, email and lines are sealed; phone, email and lines can be found by equality.
type Users struct {
	pool  *pgxpool.Pool
	vault ports.Vault
	lines lines
	phone lines
	decoy func() authdb.UserByIDRow
}

var _ ports.Users = (*Users)(nil)

const (
	userName  = "auth.users.name"
	userEmail = "auth.users.email"
)

// NewUsers works on the auth database.
func NewUsers(pool *pgxpool.Pool, vault ports.Vault) *Users {
	u := &Users{pool: pool, vault: vault, lines: lines{vault, "auth.user_lines.line"}, phone: lines{vault, "auth.users.phone"}}
	u.decoy = sync.OnceValue(u.makeDecoy)
	return u
}

// ByID reads the account in one statement, so that rights and lines are of one moment.
func (u *Users) ByID(ctx context.Context, user auth.UserID) (auth.User, error) {
	row, err := authdb.New(u.pool).UserByID(ctx, string(user))
	if errors.Is(err, pgx.ErrNoRows) {
		_, _ = u.noun(u.decoy())
	}
	if err != nil {
		return auth.User{}, translate("read user", err, fault.UserNotFound)
	}
	found, err := u.noun(row)
	return found, translate("read user", err)
}

// ByLogin is one statement too, and as long for an id that nobody has.
func (u *Users) ByLogin(ctx context.Context, typed auth.UserID) (auth.User, error) {
	row, err := authdb.New(u.pool).UserByLogin(ctx, authdb.UserByLoginParams{Typed: string(typed), Folded: string(typed.Folded())})
	if errors.Is(err, pgx.ErrNoRows) {
		_, _ = u.noun(u.decoy())
	}
	if err != nil {
		return auth.User{}, translate("read user", err, fault.UserNotFound)
	}
	found, err := u.noun(authdb.UserByIDRow(row))
	return found, translate("read user", err)
}

// makeDecoy seals an account that does not exist. Opening it when an id is unknown takes as long as opening one that is known: at login
// the time must not tell the two apart (decision 4).
func (u *Users) makeDecoy() authdb.UserByIDRow {
	number, _ := line.Parse("01000000000")
	row, err := u.row(auth.User{Name: personal.NewName("아무개"), Phone: number, Email: personal.NewEmail("nobody@example.com")})
	if err != nil {
		return authdb.UserByIDRow{}
	}
	sealed, _ := u.lines.seal(number)
	return authdb.UserByIDRow{
		User:  authdb.User{NameSealed: row.NameSealed, PhoneSealed: row.PhoneSealed, EmailSealed: row.EmailSealed},
		Lines: [][]byte{sealed}, Roles: []string{string(auth.Customer)},
	}
}

// Create writes the account in one transaction.
func (u *Users) Create(ctx context.Context, user auth.User) error {
	row, err := u.row(user)
	if err != nil {
		return translate("seal user", err)
	}
	err = pgx.BeginFunc(ctx, u.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		created, err := q.CreateUser(ctx, row)
		if err != nil {
			return err
		}
		if created == 0 {
			return fault.New(fault.StateConflict).WithField("userId", "이미 사용 중인 ID입니다")
		}
		if err := u.claim(ctx, q, user.UserID, user.Lines); err != nil {
			return err
		}
		return u.addRights(ctx, q, user)
	})
	return translate("create user", err)
}

// Change holds the account's row while it decides.
func (u *Users) Change(ctx context.Context, user auth.UserID, decide func(auth.User) (auth.User, error)) (auth.User, error) {
	var stored auth.User
	err := pgx.BeginFunc(ctx, u.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		if err := q.LockUser(ctx, string(user)); err != nil {
			return err
		}
		row, err := q.UserByID(ctx, string(user))
		if err != nil {
			return err
		}
		if stored, err = u.noun(row); err != nil {
			return err
		}
		before := stored
		after, err := decide(own(before))
		if err != nil || reflect.DeepEqual(after, before) {
			return err
		}
		if after.StepsDown(before) {
			if err := othersAdminister(ctx, q, user); err != nil {
				return err
			}
		}
		if err := u.claim(ctx, q, user, after.Added(before)); err != nil {
			return err
		}
		stored = after.Changed(before)
		return u.save(ctx, q, stored)
	})
	if err != nil {
		return auth.User{}, translate("change user", err, fault.UserNotFound)
	}
	return stored, nil
}

// othersAdminister is auth.LastAdmin when nobody but the user is an active administrator. Who asks holds a lock until his transaction
// ends, so that of two who step down the second sees what the first did.
func othersAdminister(ctx context.Context, q *authdb.Queries, user auth.UserID) error {
	if err := q.LockAdministrators(ctx); err != nil {
		return err
	}
	others, err := q.CountOtherAdmins(ctx, string(user))
	if err == nil && others == 0 {
		return auth.LastAdmin()
	}
	return err
}

// own shares no slice with its argument, so that a decision cannot change what it is compared with.
func own(user auth.User) auth.User {
	user.Lines, user.Roles, user.Grants = slices.Clone(user.Lines), slices.Clone(user.Roles), slices.Clone(user.Grants)
	return user
}

func (u *Users) save(ctx context.Context, q *authdb.Queries, user auth.User) error {
	row, err := u.row(user)
	if err != nil {
		return err
	}
	if err := q.SaveUser(ctx, authdb.SaveUserParams{
		UserID: row.UserID, PasswordHash: row.PasswordHash, NameSealed: row.NameSealed, PhoneSealed: row.PhoneSealed,
		PhoneIndex: row.PhoneIndex, EmailSealed: row.EmailSealed, EmailIndex: row.EmailIndex, CustomerID: row.CustomerID, Status: row.Status,
		Version: int64(user.Version), Epoch: int64(user.Epoch), InitialPassword: user.InitialPassword,
		FactorHandedOver: user.FactorHandedOver,
	}); err != nil {
		return err
	}
	if err := errors.Join(
		q.DropUserLines(ctx, row.UserID), q.DropUserRoles(ctx, row.UserID), q.DropUserGrants(ctx, row.UserID),
	); err != nil {
		return err
	}
	return u.addRights(ctx, q, user)
}

func (u *Users) addRights(ctx context.Context, q *authdb.Queries, user auth.User) error {
	sealed := make([][]byte, len(user.Lines))
	for i, n := range user.Lines {
		var err error
		if sealed[i], err = u.lines.seal(n); err != nil {
			return err
		}
	}
	return errors.Join(
		q.AddUserLines(ctx, authdb.AddUserLinesParams{UserID: string(user.UserID), Sealed: sealed, Indexes: u.lines.indexes(user.Lines)}),
		q.AddUserRoles(ctx, authdb.AddUserRolesParams{UserID: string(user.UserID), Roles: texts(user.Roles)}),
		q.AddUserGrants(ctx, grantRows(user)),
	)
}

// SawLogin records the time of a successful login.
func (u *Users) SawLogin(ctx context.Context, user auth.UserID, at time.Time) error {
	err := authdb.New(u.pool).SawLogin(ctx, authdb.SawLoginParams{UserID: string(user), LastLoginAt: optional(at)})
	return translate("record login", err)
}

// Rehash replaces the password hash, if it is still the old one.
func (u *Users) Rehash(ctx context.Context, user auth.UserID, old, hash personal.Secret) error {
	err := authdb.New(u.pool).Rehash(ctx, authdb.RehashParams{UserID: string(user), OldHash: old.Reveal(), NewHash: hash.Reveal()})
	return translate("replace password hash", err)
}

func (u *Users) row(user auth.User) (authdb.CreateUserParams, error) {
	name, err1 := u.vault.Seal(userName, []byte(user.Name.Reveal()))
	email, err2 := u.vault.Seal(userEmail, []byte(user.Email.Reveal()))
	phone, err3 := u.phone.seal(user.Phone)
	return authdb.CreateUserParams{
		UserID: string(user.UserID), PasswordHash: user.PasswordHash.Reveal(), NameSealed: name,
		PhoneSealed: phone, PhoneIndex: u.phone.index(user.Phone),
		EmailSealed: email, EmailIndex: u.vault.Index(userEmail, user.Email.Reveal()),
		CustomerID: user.CustomerID, Status: string(user.Status), CreatedAt: user.CreatedAt, InitialPassword: user.InitialPassword,
		FactorHandedOver: user.FactorHandedOver,
	}, errors.Join(err1, err2, err3)
}

func (u *Users) noun(row authdb.UserByIDRow) (auth.User, error) {
	name, err1 := u.vault.Open(userName, row.User.NameSealed)
	email, err2 := u.vault.Open(userEmail, row.User.EmailSealed)
	phone, err3 := u.phone.open(row.User.PhoneSealed)
	user := auth.User{
		UserID: auth.UserID(row.User.UserID), PasswordHash: personal.NewSecret(row.User.PasswordHash),
		Name: personal.NewName(string(name)), Phone: phone, Email: personal.NewEmail(string(email)), CustomerID: row.User.CustomerID,
		Status: auth.Status(row.User.Status), LastLoginAt: moment(row.User.LastLoginAt), CreatedAt: row.User.CreatedAt.UTC(),
		Version: int(row.User.Version), Epoch: int(row.User.Epoch), SecondFactor: row.SecondFactor,
		InitialPassword: row.User.InitialPassword, FactorHandedOver: row.User.FactorHandedOver,
	}
	var err4 error
	for _, sealed := range row.Lines {
		var n line.Number
		if n, err4 = u.lines.open(sealed); err4 != nil {
			break
		}
		user.Lines = append(user.Lines, n)
	}
	for _, role := range row.Roles {
		user.Roles = append(user.Roles, auth.Role(role))
	}
	for i, permission := range row.Permissions {
		user.Grants = append(user.Grants, auth.Grant{
			Permission: auth.Permission(permission), ExpiresAt: row.Expiries[i].UTC(), GrantedBy: row.Givers[i], GrantedAt: row.Given[i].UTC(),
		})
	}
	return user, errors.Join(err1, err2, err3, err4)
}

func grantRows(user auth.User) authdb.AddUserGrantsParams {
	rows := authdb.AddUserGrantsParams{UserID: string(user.UserID)}
	for _, g := range user.Grants {
		rows.Permissions = append(rows.Permissions, string(g.Permission))
		rows.Expiries = append(rows.Expiries, g.ExpiresAt)
		rows.Givers = append(rows.Givers, g.GrantedBy)
		rows.Given = append(rows.Given, g.GrantedAt)
	}
	return rows
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = string(v)
	}
	return out
}
