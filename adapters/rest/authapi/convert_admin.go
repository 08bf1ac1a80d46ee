package authapi

import (
	"errors"
	"time"

	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/adapters/rest/paging"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// toFilter reads the search. What the contract has checked already is taken as it is.
func toFilter(p gen.ListUsersParams) (auth.AccountFilter, paging.Range, error) {
	at, err := paging.Parse(p.LineNumber, nil, nil, p.Page, p.Size)
	f := auth.AccountFilter{
		UserID: auth.UserID(deref(p.UserID)), CustomerID: deref(p.CustomerID), Status: auth.Status(deref(p.Status)), Page: at.Page, Size: at.Size,
	}
	if len(at.Lines) == 1 {
		f.Line = at.Lines[0]
	}
	return f, at, err
}

func toNew(b gen.CreateUserRequest) (admin.New, error) {
	user, err1 := auth.ParseUserID(b.UserID)
	name, err2 := auth.ParseName(b.UserName)
	phone, err3 := auth.ParsePhone(deref(b.PhoneNumber))
	email, err4 := auth.ParseEmail(deref(b.Email))
	lines, err5 := toLines(b.Lines)
	n := admin.New{
		UserID: user, Password: personal.NewSecret(b.Password), Name: name, Phone: phone, Email: email, CustomerID: deref(b.CustomerID),
		Lines: lines, Roles: toRoles(b.Roles), Reason: b.Reason,
	}
	for _, p := range b.Permissions {
		n.Grants = append(n.Grants, auth.Permission(p))
	}
	return n, errors.Join(err1, err2, err3, err4, err5)
}

func toUpdate(b gen.UpdateUserRequest) (admin.Update, error) {
	x := admin.Update{Version: b.Version, Reason: b.Reason, Roles: toRoles(b.Roles)}
	if b.Status != nil {
		status := auth.Status(*b.Status)
		x.Status = &status
	}
	if b.CustomerID != nil {
		id, err := auth.ParseCustomerID(*b.CustomerID)
		if err != nil {
			return x, err
		}
		x.CustomerID = &id
	}
	if b.Lines == nil {
		return x, nil
	}
	lines, err := toLines(b.Lines)
	x.Lines = &lines
	return x, err
}

func toRoles(names []gen.Role) []auth.Role {
	var roles []auth.Role
	for _, r := range names {
		roles = append(roles, auth.Role(r))
	}
	return roles
}

func toLines(texts []string) ([]line.Number, error) {
	var lines []line.Number
	for _, s := range texts {
		n, err := line.Parse(s)
		if err != nil {
			return nil, err
		}
		lines = append(lines, n)
	}
	return lines, nil
}

// toMasked shows an account with what is personal masked by its own types.
func toMasked(a auth.Account, now time.Time) gen.AdminUser {
	return toRow(a, now, a.Name.String(), a.Email.String(), line.Number.String)
}

// toClear shows it in clear.
func toClear(a auth.Account, now time.Time) gen.AdminUser {
	return toRow(a, now, a.Name.Reveal(), a.Email.Reveal(), line.Number.Hyphenated)
}

func toRow(a auth.Account, now time.Time, name, email string, show func(line.Number) string) gen.AdminUser {
	row := gen.AdminUser{
		UserID: string(a.UserID), UserName: optional(name), PhoneNumber: optional(show(a.Phone)), Email: optional(email),
		CustomerID: optional(a.CustomerID), Lines: make([]string, len(a.Lines)), Status: gen.UserStatus(a.StatusNow(now)),
		Roles: make([]gen.Role, len(a.Roles)), Permissions: make([]gen.AdminGrant, len(a.Grants)), SecondFactor: a.SecondFactor,
		Version: a.Version, CreatedAt: a.CreatedAt, LastLoginAt: moment(a.LastLoginAt),
	}
	if now.Before(a.LockedUntil) {
		row.LockedUntil = &a.LockedUntil
	}
	for i, n := range a.Lines {
		row.Lines[i] = show(n)
	}
	if len(a.Unreadable) > 0 {
		parts := make([]gen.AdminUserUnreadable, len(a.Unreadable))
		for i, part := range a.Unreadable {
			parts[i] = gen.AdminUserUnreadable(part)
		}
		row.Unreadable = parts
	}
	for i, r := range a.Roles {
		row.Roles[i] = gen.Role(r)
	}
	for i, g := range a.Grants {
		row.Permissions[i] = gen.AdminGrant{
			Permission: gen.Permission(g.Permission), ExpiresAt: moment(g.ExpiresAt), GivenBy: optional(g.GrantedBy), GivenAt: moment(g.GrantedAt),
		}
	}
	return row
}

func toCreated(c admin.Created, now time.Time) gen.AdminUser {
	row := toMasked(c.Account, now)
	if c.Enrolment != nil {
		row.Enrolment = &gen.Enrolment{Secret: c.Enrolment.Secret.Reveal(), OtpauthURI: c.Enrolment.URI.Reveal()}
		for _, code := range c.Enrolment.RecoveryCodes {
			row.Enrolment.RecoveryCodes = append(row.Enrolment.RecoveryCodes, code.Reveal())
		}
	}
	return row
}

func toLogins(events []auth.LoginEvent, at paging.Range, total int, ip func(auth.Client) string) gen.LoginHistoryData {
	data := gen.LoginHistoryData{Items: make([]gen.LoginEvent, len(events)), Pagination: paging.Of(at.Page, at.Size, total)}
	for i, e := range events {
		data.Items[i] = gen.LoginEvent{
			At: e.At, Type: string(e.Type), Success: e.Success, Reason: optional(e.Reason), IP: optional(ip(e.Client)),
			UserAgent: optional(e.Client.UserAgent), Service: optional(e.Client.Service),
		}
	}
	return data
}

// moment leaves the zero time out.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func deref[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

func toTransfer(t auth.LineTransfer) gen.LineTransfer {
	return gen.LineTransfer{
		TransferID: [16]byte(t.ID), LineNumber: t.Line, UserID: string(t.To), ProposedBy: t.ProposedBy, Reason: t.Reason,
		ProposedAt: t.ProposedAt, ExpiresAt: t.ExpiresAt, ConfirmedBy: optional(t.ConfirmedBy), ConfirmedAt: moment(t.ConfirmedAt),
	}
}
