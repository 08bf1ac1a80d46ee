package authapi

import (
	"errors"
	"time"

	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// toFilter converts the search parameters. What the contract has checked already is not checked again.
func toFilter(p gen.ListUsersParams) (auth.AccountFilter, rest.PageQuery, error) {
	at, err := rest.ParsePage(p.LineNumber, nil, nil, p.Page, p.Size)
	f := auth.AccountFilter{
		UserID: auth.UserID(rest.Value(p.UserID)), CustomerID: rest.Value(p.CustomerID),
		Status: auth.Status(rest.Value(p.Status)),
		Page:   at.Page, Size: at.Size,
	}
	if len(at.Lines) == 1 {
		f.Line = at.Lines[0]
	}
	return f, at, err
}

func toNew(b gen.CreateUserRequest) (admin.New, error) {
	user, err1 := auth.ParseUserID(b.UserID)
	name, err2 := auth.ParseName(b.UserName)
	phone, err3 := auth.ParsePhone(rest.Value(b.PhoneNumber))
	email, err4 := auth.ParseEmail(rest.Value(b.Email))
	lines, err5 := toLines(b.Lines)
	n := admin.New{
		UserID: user, Password: personal.NewSecret(b.Password), Name: name, Phone: phone, Email: email,
		CustomerID: rest.Value(b.CustomerID),
		Lines:      lines, Roles: toRoles(b.Roles), Reason: b.Reason,
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
	if b.Tier != nil {
		tier := auth.Tier(*b.Tier)
		x.Tier = &tier
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

// toMasked converts an account with its personal data masked.
func toMasked(a auth.Account, now time.Time) gen.AdminUser {
	return toRow(a, now, a.Name.String(), a.Email.String(), line.Number.String)
}

// toClear converts an account with its personal data in clear text.
func toClear(a auth.Account, now time.Time) gen.AdminUser {
	return toRow(a, now, a.Name.Reveal(), a.Email.Reveal(), line.Number.Hyphenated)
}

func toRow(a auth.Account, now time.Time, name, email string, show func(line.Number) string) gen.AdminUser {
	row := gen.AdminUser{
		UserID: string(a.UserID), UserName: rest.Optional(name), PhoneNumber: rest.Optional(show(a.Phone)),
		Email:      rest.Optional(email),
		CustomerID: rest.Optional(a.CustomerID), Lines: make([]string, len(a.Lines)),
		Status: gen.UserStatus(a.StatusNow(now)),
		Roles:  make([]gen.Role, len(a.Roles)), Permissions: make([]gen.AdminGrant, len(a.Grants)),
		SecondFactor: a.SecondFactor, Tier: gen.Tier(a.Tier.OrDefault()),
		Version: a.Version, CreatedAt: a.CreatedAt, LastLoginAt: rest.OptionalTime(a.LastLoginAt),
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
			Permission: gen.Permission(g.Permission), ExpiresAt: rest.OptionalTime(g.ExpiresAt),
			GivenBy: rest.Optional(g.GrantedBy),
			GivenAt: rest.OptionalTime(g.GrantedAt),
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

func toLogins(
	events []auth.LoginEvent, at rest.PageQuery, total int, ip func(auth.Client) string,
) gen.LoginHistoryData {
	data := gen.LoginHistoryData{
		Items: make([]gen.LoginEvent, len(events)), Pagination: rest.Pagination(at.Page, at.Size, total),
	}
	for i, e := range events {
		data.Items[i] = gen.LoginEvent{
			At: e.At, Type: string(e.Type), Success: e.Success, Reason: rest.Optional(e.Reason), IP: rest.Optional(ip(e.Client)),
			UserAgent: rest.Optional(e.Client.UserAgent), Service: rest.Optional(e.Client.Service),
		}
	}
	return data
}

func toTransfer(t auth.LineTransfer) gen.LineTransfer {
	return gen.LineTransfer{
		TransferID: [16]byte(t.ID), LineNumber: t.Line, UserID: string(t.To), ProposedBy: t.ProposedBy, Reason: t.Reason,
		ProposedAt: t.ProposedAt, ExpiresAt: t.ExpiresAt, ConfirmedBy: rest.Optional(t.ConfirmedBy),
		ConfirmedAt: rest.OptionalTime(t.ConfirmedAt),
	}
}
