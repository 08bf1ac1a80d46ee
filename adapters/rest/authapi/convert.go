package authapi

import (
	"slices"
	"time"

	"phonebill/adapters/rest"
	gen "phonebill/adapters/rest/internal/authgen"
	"phonebill/core/auth"
	"phonebill/core/auth/login"
	"phonebill/core/line"
)

func toLogin(t login.Tokens) gen.LoginData {
	return gen.LoginData{
		AccessToken: t.Access.Reveal(), RefreshToken: t.Refresh.Reveal(), TokenType: "Bearer",
		ExpiresIn: int(t.ExpiresIn / time.Second), User: toUser(t.User, t.Principal.Permissions),
		Duties:        toDuties(t.Principal.Duties),
		SessionEndsAt: t.SessionEnds, SessionIdleEndsAt: t.IdleEnds,
	}
}

func toRefresh(t login.Tokens) gen.RefreshData {
	return gen.RefreshData{
		AccessToken: t.Access.Reveal(), RefreshToken: t.Refresh.Reveal(), TokenType: "Bearer",
		ExpiresIn: int(t.ExpiresIn / time.Second), Duties: toDuties(t.Principal.Duties),
		SessionEndsAt: t.SessionEnds, SessionIdleEndsAt: t.IdleEnds,
	}
}

func toDuties(duties []auth.Duty) []gen.Duty {
	var out []gen.Duty
	for _, d := range duties {
		out = append(out, gen.Duty(d))
	}
	return out
}

func toUser(u auth.User, held []auth.Permission) gen.User {
	lines := make([]string, len(u.Lines))
	for i, n := range u.Lines {
		lines[i] = n.Hyphenated()
	}
	roles := make([]gen.Role, len(u.Roles))
	for i, r := range u.Roles {
		roles[i] = gen.Role(r)
	}
	return gen.User{
		UserID: string(u.UserID), UserName: rest.Optional(u.Name.Reveal()), PhoneNumber: phone(u.Phone),
		CustomerID: rest.Optional(u.CustomerID),
		Lines:      lines, Roles: roles, Permissions: names(held),
	}
}

func toUserInfo(u auth.User, status auth.Status, held []auth.Permission) gen.UserInfoData {
	info := gen.UserInfoData{
		UserID: string(u.UserID), UserName: rest.Optional(u.Name.Reveal()), PhoneNumber: phone(u.Phone),
		Email:  rest.Optional(u.Email.Reveal()),
		Status: gen.UserStatus(status), Permissions: names(held),
	}
	if !u.LastLoginAt.IsZero() {
		info.LastLoginAt = &u.LastLoginAt
	}
	return info
}

func toPermissions(user auth.UserID, held []auth.Permission) gen.PermissionsData {
	data := gen.PermissionsData{UserID: string(user)}
	for _, p := range auth.AllPermissions() {
		data.Permissions = append(data.Permissions, toPermission(p, slices.Contains(held, p)))
	}
	return data
}

func toPermission(p auth.Permission, granted bool) gen.PermissionDetail {
	return gen.PermissionDetail{Permission: gen.Permission(p), Description: p.Description(), Granted: granted}
}

func names(held []auth.Permission) []gen.Permission {
	out := make([]gen.Permission, len(held))
	for i, p := range held {
		out[i] = gen.Permission(p)
	}
	return out
}

func phone(n line.Number) *string { return rest.Optional(n.Hyphenated()) }
