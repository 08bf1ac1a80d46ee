package bulkimport

import (
	"strings"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// Row is one customer as in the file, unparsed.
type Row struct {
	Line         int // where it begins in the file; the first line is 1
	UserID       string
	Password     personal.Secret
	PasswordHash personal.Secret
	Name         string
	Phone        string
	Email        string
	CustomerID   string
	Lines        []string
	Permissions  []string
	Bad          error // why the row cannot be read at all; nil when it can
}

// checkPassword is explained at Service.
type checkPassword = func(field string, user auth.UserID, password personal.Secret) error

// customer returns the account that the row makes, without its hash, or what is wrong with the row. Only customers are
// imported, and only with customers' permissions: staff are created one by one.
func (r Row) customer(by string, now time.Time, check checkPassword) (auth.User, error) {
	if r.Bad != nil {
		return auth.User{}, r.Bad
	}
	user, err := auth.ParseUserID(r.UserID)
	if err != nil {
		return auth.User{}, in("user_id", err)
	}
	u := auth.User{UserID: user, Roles: []auth.Role{auth.Customer}, Status: auth.Active, CreatedAt: now}
	u.InitialPassword = r.PasswordHash.Reveal() == "" // a hash is of a password that its owner chose elsewhere
	if u.Name, err = auth.ParseName(r.Name); err != nil {
		return u, in("name", err)
	}
	if u.Phone, err = auth.ParsePhone(r.Phone); err != nil {
		return u, in("phone", err)
	}
	if u.Email, err = auth.ParseEmail(r.Email); err != nil {
		return u, in("email", err)
	}
	if u.CustomerID, err = auth.ParseCustomerID(r.CustomerID); err != nil {
		return u, in("customer_id", err)
	}
	for _, s := range r.Lines {
		n, err := line.Parse(s)
		if err != nil {
			return u, in("lines", err)
		}
		u.Lines = append(u.Lines, n)
	}
	for _, s := range r.Permissions {
		p, err := auth.ParsePermission(strings.ToUpper(s))
		if err != nil {
			return u, err
		}
		u.Grants = append(u.WithoutGrant(p).Grants, auth.Grant{Permission: p, GrantedBy: by, GrantedAt: now})
	}
	if err := u.CheckRights(); err != nil {
		return u, err
	}
	return u, r.secret(user, check)
}

// in names the column that is wrong, as the file calls it.
func in(column string, err error) error {
	return fault.InvalidField(column, fault.From(err).Fields()[0].Reason)
}

// secret returns nil when the row has one of a password that the account may have and a hash that we can verify.
func (r Row) secret(user auth.UserID, check checkPassword) error {
	hash, password := r.PasswordHash.Reveal(), r.Password.Reveal()
	switch {
	case (hash == "") == (password == ""):
		return fault.InvalidField("password", "비밀번호와 비밀번호 해시 중 하나만 있어야 합니다")
	case hash != "":
		return auth.CheckHash("password_hash", r.PasswordHash)
	default:
		return check("password", user, r.Password)
	}
}
