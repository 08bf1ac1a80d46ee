package postgres

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// Users implements ports.Users. Name, phone, email and lines are sealed; phone, email and lines can be found by
// equality.
type Users struct {
	pool  *pgxpool.Pool
	vault ports.Vault
	lines lines
	phone lines
	decoy atomic.Pointer[authdb.UserByIDRow]
}

var _ ports.Users = (*Users)(nil)

const (
	userName  = "auth.users.name"
	userEmail = "auth.users.email"
	userHash  = "auth.users.password_hash"
)

// userPlace is where a part of the account is stored. The account without an id is the decoy, which is made anew when
// it does not open.
func userPlace(column, user string, keys ...string) sealing.Place {
	at := sealing.At(column, append([]string{user}, keys...)...)
	if user == "" {
		return at.WithoutAlert()
	}
	return at
}

// NewUsers works on the auth database.
func NewUsers(pool *pgxpool.Pool, vault ports.Vault) *Users {
	return &Users{
		pool: pool, vault: vault, lines: lines{vault, "auth.user_lines.line"}, phone: lines{vault, "auth.users.phone"},
	}
}

// ByID reads the account in one statement, so that rights and lines are of one moment.
func (u *Users) ByID(ctx context.Context, user auth.UserID) (auth.User, error) {
	row, err := authdb.New(u.pool).UserByID(ctx, string(user))
	if errors.Is(err, pgx.ErrNoRows) {
		u.openDecoy()
	}
	if err != nil {
		return auth.User{}, translate("read user", err, fault.UserNotFound)
	}
	return u.noun(row), nil
}

func (u *Users) openDecoy() {
	decoy := u.decoy.Load()
	if decoy != nil && len(u.noun(*decoy).Unreadable) == 0 {
		return
	}
	if made, err := u.makeDecoy(); err == nil {
		u.decoy.Store(&made)
	}
}

// ByLogin reads the account of a typed id in one statement. It takes as long for an unknown id.
func (u *Users) ByLogin(ctx context.Context, typed auth.UserID) (auth.User, error) {
	row, err := authdb.New(u.pool).UserByLogin(ctx,
		authdb.UserByLoginParams{Typed: string(typed), Folded: string(typed.Folded())})
	if errors.Is(err, pgx.ErrNoRows) {
		u.openDecoy()
	}
	if err != nil {
		return auth.User{}, translate("read user", err, fault.UserNotFound)
	}
	return u.noun(authdb.UserByIDRow(row)), nil
}

// makeDecoy seals an account that does not exist. It is opened when an id is unknown, which takes as long as opening a
// known one: the time of a login must not tell the two apart (ADR 16).
func (u *Users) makeDecoy() (authdb.UserByIDRow, error) {
	number, _ := line.Parse("01000000000")
	row, err := u.row(auth.User{
		Name: personal.NewName("아무개"), Phone: number, Email: personal.NewEmail("nobody@example.com"),
		PasswordHash: personal.NewSecret("$argon2id$" + strings.Repeat("0", 80)),
	})
	if err != nil {
		return authdb.UserByIDRow{}, err
	}
	sealed, err := u.lines.seal(number, linesKeys("", 1)...)
	return authdb.UserByIDRow{
		User: authdb.User{
			NameSealed: row.NameSealed, PhoneSealed: row.PhoneSealed, PhoneIndex: row.PhoneIndex, EmailSealed: row.EmailSealed,
			EmailIndex: row.EmailIndex, PasswordHash: row.PasswordHash,
		},
		Lines: [][]byte{sealed}, LineIndexes: [][]byte{u.lines.index(number)}, LinePositions: []int64{1},
		Roles: []string{string(auth.Customer)},
	}, err
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
func (u *Users) Change(
	ctx context.Context, user auth.UserID, decide func(auth.User) (auth.User, error),
) (auth.User, error) {
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
		stored = u.noun(row)
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
		return u.save(ctx, q, stored, before, row.User)
	})
	if err != nil {
		return auth.User{}, translate("change user", err, fault.UserNotFound)
	}
	return stored, nil
}

// othersAdminister returns auth.LastAdmin when no other user is an active administrator. It holds a lock until the
// transaction ends, so that of two administrators who step down the second sees what the first did.
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
	user.Unreadable = slices.Clone(user.Unreadable)
	return user
}

// save writes the account. Parts that could not be opened and were not replaced stay as they are stored.
func (u *Users) save(ctx context.Context, q *authdb.Queries, user, before auth.User, held authdb.User) error {
	row, err := u.row(user)
	if err != nil {
		return err
	}
	for _, part := range user.Unreadable {
		switch part {
		case auth.PartName:
			row.NameSealed = held.NameSealed
		case auth.PartPhone:
			row.PhoneSealed, row.PhoneIndex = held.PhoneSealed, held.PhoneIndex
		case auth.PartEmail:
			row.EmailSealed, row.EmailIndex = held.EmailSealed, held.EmailIndex
		case auth.PartPassword:
			row.PasswordHash = held.PasswordHash
		case auth.PartLines: // not written below
		}
	}
	if err := q.SaveUser(ctx, authdb.SaveUserParams{
		UserID: row.UserID, PasswordHash: row.PasswordHash, NameSealed: row.NameSealed, PhoneSealed: row.PhoneSealed,
		PhoneIndex: row.PhoneIndex, EmailSealed: row.EmailSealed, EmailIndex: row.EmailIndex, CustomerID: row.CustomerID,
		Status: row.Status, Version: int64(user.Version), Epoch: int64(user.Epoch), InitialPassword: user.InitialPassword,
		FactorHandedOver: user.FactorHandedOver, Tier: row.Tier,
	}); err != nil {
		return err
	}
	if err := errors.Join(q.DropUserRoles(ctx, row.UserID), q.DropUserGrants(ctx, row.UserID)); err != nil {
		return err
	}
	if !slices.Equal(user.Lines, before.Lines) {
		if err := q.DropUserLines(ctx, row.UserID); err != nil {
			return err
		}
		if err := u.addLines(ctx, q, user); err != nil {
			return err
		}
	}
	return u.addRoles(ctx, q, user)
}

// linesKeys are what a line of an account is bound to besides its index.
func linesKeys(user string, position int64) []string {
	return []string{user, strconv.FormatInt(position, 10)}
}

func (u *Users) addRights(ctx context.Context, q *authdb.Queries, user auth.User) error {
	return errors.Join(u.addLines(ctx, q, user), u.addRoles(ctx, q, user))
}

// addLines writes the lines with positions that count from 1.
func (u *Users) addLines(ctx context.Context, q *authdb.Queries, user auth.User) error {
	sealed := make([][]byte, len(user.Lines))
	for i, n := range user.Lines {
		var err error
		if sealed[i], err = u.lines.seal(n, linesKeys(string(user.UserID), int64(i+1))...); err != nil {
			return err
		}
	}
	return q.AddUserLines(ctx,
		authdb.AddUserLinesParams{UserID: string(user.UserID), Sealed: sealed, Indexes: u.lines.indexes(user.Lines)})
}

func (u *Users) addRoles(ctx context.Context, q *authdb.Queries, user auth.User) error {
	return errors.Join(
		q.AddUserRoles(ctx, authdb.AddUserRolesParams{UserID: string(user.UserID), Roles: texts(user.Roles)}),
		q.AddUserGrants(ctx, grantRows(user)),
	)
}

// RecordLogin records the time of a successful login.
func (u *Users) RecordLogin(ctx context.Context, user auth.UserID, at time.Time) error {
	err := authdb.New(u.pool).SawLogin(ctx, authdb.SawLoginParams{UserID: string(user), LastLoginAt: optional(at)})
	return translate("record login", err)
}

// Rehash replaces the password hash if it is still the old one.
func (u *Users) Rehash(ctx context.Context, user auth.UserID, old, hash personal.Secret) error {
	sealed, err := u.sealHash(string(user), hash)
	if err != nil {
		return translate("seal password hash", err)
	}
	err = pgx.BeginFunc(ctx, u.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		stored, err := q.PasswordHash(ctx, string(user))
		if err != nil {
			return err
		}
		held, err := u.openHash(string(user), stored)
		if err != nil || held != old {
			return err
		}
		return q.Rehash(ctx, authdb.RehashParams{UserID: string(user), OldHash: stored, NewHash: sealed})
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return translate("replace password hash", err)
}

// sealedHash is the prefix of a password hash (PHC form) that is sealed, bound to its account; the rest is base64. One
// that is not sealed begins with "$".
const sealedHash = "sealed:"

// sealHash returns the stored form: the hash itself while the previous release must be able to read it.
// SERVICE_UNAVAILABLE while that is not known.
func (u *Users) sealHash(user string, hash personal.Secret) (string, error) {
	form := u.vault.Form()
	switch {
	case hash.Reveal() == "", form.Older():
		return hash.Reveal(), nil
	case form == sealing.Unknown:
		return "", unknownForm()
	}
	sealed, err := u.vault.Seal(userPlace(userHash, user), []byte(hash.Reveal()))
	return sealedHash + base64.RawStdEncoding.EncodeToString(sealed), err
}

func (u *Users) openHash(user, stored string) (personal.Secret, error) {
	at := userPlace(userHash, user)
	text, sealed := strings.CutPrefix(stored, sealedHash)
	if !sealed {
		if stored != "" && u.vault.Form() == sealing.RowOnly {
			return personal.Secret{}, u.vault.Refuse(at, errPlainHash)
		}
		return personal.NewSecret(stored), nil
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return personal.Secret{}, u.vault.Refuse(at, err)
	}
	clear, err := u.vault.Open(at, raw)
	return personal.NewSecret(string(clear)), err
}

var errPlainHash = errors.New("postgres: a password hash that is not sealed is refused")

func (u *Users) emailPlace(user string, index []byte) sealing.Place {
	return userPlace(userEmail, user, string(index))
}

// openEmail returns the address of the row with the index; one with another index is not of that row.
func (u *Users) openEmail(row authdb.User) (personal.Email, error) {
	at := u.emailPlace(row.UserID, row.EmailIndex)
	clear, err := u.vault.Open(at, row.EmailSealed)
	if err == nil && !bytes.Equal(u.vault.Index(userEmail, string(clear)), row.EmailIndex) {
		err = u.vault.Refuse(at, errMisplaced)
	}
	if err != nil {
		return personal.Email{}, err
	}
	return personal.NewEmail(string(clear)), nil
}

func (u *Users) row(user auth.User) (authdb.CreateUserParams, error) {
	name, err1 := u.vault.Seal(userPlace(userName, string(user.UserID)), []byte(user.Name.Reveal()))
	emailIndex := u.vault.Index(userEmail, user.Email.Reveal())
	email, err2 := u.vault.Seal(u.emailPlace(string(user.UserID), emailIndex), []byte(user.Email.Reveal()))
	phone, err3 := u.phone.seal(user.Phone, string(user.UserID))
	hash, err4 := u.sealHash(string(user.UserID), user.PasswordHash)
	return authdb.CreateUserParams{
		UserID: string(user.UserID), PasswordHash: hash, NameSealed: name,
		PhoneSealed: phone, PhoneIndex: u.phone.index(user.Phone), EmailSealed: email, EmailIndex: emailIndex,
		CustomerID: user.CustomerID, Status: string(user.Status), CreatedAt: user.CreatedAt,
		InitialPassword: user.InitialPassword, FactorHandedOver: user.FactorHandedOver, Tier: string(user.Tier.OrDefault()),
	}, errors.Join(err1, err2, err3, err4)
}

// noun maps the account. Parts that cannot be opened are empty and named; the vault has raised the alert.
func (u *Users) noun(row authdb.UserByIDRow) auth.User {
	own := row.User
	name, err1 := u.vault.Open(userPlace(userName, own.UserID), own.NameSealed)
	phone, err2 := u.phone.open(own.PhoneSealed, own.PhoneIndex, own.UserID)
	email, err3 := u.openEmail(own)
	hash, err4 := u.openHash(own.UserID, own.PasswordHash)
	user := auth.User{
		UserID: auth.UserID(own.UserID), PasswordHash: hash, Name: personal.NewName(string(name)), Phone: phone, Email: email,
		CustomerID: own.CustomerID, Status: auth.Status(own.Status), LastLoginAt: moment(own.LastLoginAt),
		CreatedAt: own.CreatedAt.UTC(), Version: int(own.Version), Epoch: int(own.Epoch), SecondFactor: row.SecondFactor,
		InitialPassword: own.InitialPassword, FactorHandedOver: own.FactorHandedOver,
		Tier: auth.Tier(own.Tier).Short(),
	}
	var err5 error
	for i, sealed := range row.Lines {
		n, err := u.lines.open(sealed, row.LineIndexes[i], linesKeys(own.UserID, row.LinePositions[i])...)
		if err != nil {
			err5 = err
			continue
		}
		user.Lines = append(user.Lines, n)
	}
	for i, err := range []error{err1, err2, err3, err5, err4} {
		if err != nil {
			user.Unreadable = append(user.Unreadable, [...]auth.Part{
				auth.PartName, auth.PartPhone, auth.PartEmail, auth.PartLines, auth.PartPassword,
			}[i])
		}
	}
	for _, role := range row.Roles {
		user.Roles = append(user.Roles, auth.Role(role))
	}
	for i, permission := range row.Permissions {
		user.Grants = append(user.Grants, auth.Grant{
			Permission: auth.Permission(permission), ExpiresAt: row.Expiries[i].UTC(), GrantedBy: row.Givers[i],
			GrantedAt: row.Given[i].UTC(),
		})
	}
	return user
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
