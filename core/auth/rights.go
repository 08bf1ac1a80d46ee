package auth

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"phonebill/core/fault"
	"phonebill/core/personal"
)

// AllRoles lists every role in the order in which it is shown.
func AllRoles() []Role { return []Role{Customer, Operator, Admin} }

// ParseRole accepts the name of a role; anything else is a VALIDATION_ERROR on roles.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(AllRoles(), r) {
		return r, nil
	}
	return "", fault.InvalidField("roles", "CUSTOMER, OPERATOR, ADMIN 중에서 선택해야 합니다")
}

// ParsePermission accepts the name of a permission; anything else is a VALIDATION_ERROR on permissions.
func ParsePermission(s string) (Permission, error) {
	if p := Permission(s); slices.Contains(AllPermissions(), p) {
		return p, nil
	}
	return "", fault.InvalidField("permissions",
		"BILL_INQUIRY, PRODUCT_CHANGE, USER_ADMIN, OPERATIONS 중에서 선택해야 합니다")
}

// ParseStatus accepts a status that can be set; LOCKED cannot: it is set by wrong passwords and cleared by unlocking.
func ParseStatus(s string) (Status, error) {
	if v := Status(s); slices.Contains([]Status{Active, Suspended, Inactive}, v) {
		return v, nil
	}
	return "", fault.InvalidField("status", "ACTIVE, SUSPENDED, INACTIVE 중에서 선택해야 합니다")
}

// StaffOnly reports whether the permission is for operators and administrators alone.
func (p Permission) StaffOnly() bool { return p == UserAdmin || p == Operations }

// byRole reports whether the roles hold the permission without any grant: ADMIN holds all, OPERATOR operates
// (R-API-ROLES).
func byRole(roles []Role, p Permission) bool {
	return slices.Contains(roles, Admin) || p == Operations && slices.Contains(roles, Operator)
}

// maxLines is more lines than any household has; it bounds the size of a token.
const maxLines = 50

// CheckRights returns nil when roles, lines and grants fit together: at least one role, each once; lines are a
// customer's and each once; USER_ADMIN and OPERATIONS are staff's. Else a VALIDATION_ERROR that names roles, lines or
// permissions.
func (u User) CheckRights() error {
	for i, r := range u.Roles {
		if _, err := ParseRole(string(r)); err != nil {
			return err
		}
		if slices.Contains(u.Roles[:i], r) {
			return fault.InvalidField("roles", "같은 역할을 두 번 지정할 수 없습니다")
		}
	}
	if len(u.Roles) == 0 {
		return fault.InvalidField("roles", "역할을 하나 이상 지정해야 합니다")
	}
	if len(u.Lines) > 0 && !slices.Contains(u.Roles, Customer) {
		return fault.InvalidField("lines", "고객 계정만 회선을 가질 수 있습니다")
	}
	if len(u.Lines) > maxLines {
		return fault.InvalidField("lines", "회선은 50개까지 등록할 수 있습니다")
	}
	for i, n := range u.Lines {
		if slices.Contains(u.Lines[:i], n) {
			return fault.InvalidField("lines", "같은 회선을 두 번 등록할 수 없습니다")
		}
	}
	for _, g := range u.Grants {
		if g.Permission.StaffOnly() && !u.Staff() {
			return fault.InvalidField("permissions", "운영자와 관리자에게만 부여할 수 있는 권한입니다")
		}
	}
	return nil
}

// WithGrant returns the account with the grant, in place of an older one of the same permission. A grant that has
// expired already is a VALIDATION_ERROR on expiresAt; one that the account may not hold, on permissions.
func (u User) WithGrant(g Grant) (User, error) {
	if !g.InForce(g.GrantedAt) {
		return u, fault.InvalidField("expiresAt", "만료 시각은 현재 이후여야 합니다")
	}
	u = u.WithoutGrant(g.Permission)
	u.Grants = append(u.Grants, g)
	slices.SortFunc(u.Grants, func(a, b Grant) int { // as the store reads them
		if a.Permission < b.Permission {
			return -1
		}
		return 1
	})
	return u, u.CheckRights()
}

// WithoutGrant returns the account without the grant; none is no error.
func (u User) WithoutGrant(p Permission) User {
	u.Grants = slices.DeleteFunc(slices.Clone(u.Grants), func(g Grant) bool { return g.Permission == p })
	return u
}

// GrantOf returns the grant of a permission, also an expired one.
func (u User) GrantOf(p Permission) (Grant, bool) {
	i := slices.IndexFunc(u.Grants, func(g Grant) bool { return g.Permission == p })
	if i < 0 {
		return Grant{}, false
	}
	return u.Grants[i], true
}

// ActiveAdmin reports whether the account can administer now.
func (u User) ActiveAdmin() bool { return u.Status == Active && slices.Contains(u.Roles, Admin) }

// StepsDown reports whether a change takes an administrator away: one must stay who can undo it.
func (u User) StepsDown(before User) bool { return before.ActiveAdmin() && !u.ActiveAdmin() }

// LastAdmin returns the CONFLICT for taking the last active administrator away.
func LastAdmin() error {
	return fault.New(fault.StateConflict).WithMessage("마지막 관리자는 변경할 수 없습니다").WithDetail(
		"reason", "LAST_ADMIN")
}

// MayTouch returns nil when a caller with the roles may read the account, or change anything of it, as a member of
// staff. CONFLICT with the reason OWN_ACCOUNT for the caller's own account: every user manages it through the
// operations under /auth. FORBIDDEN for an account of staff unless the caller is an ADMIN: else an operator could
// unlock an administrator's id and so guess its password without end, or end the administrator's sessions.
func MayTouch(by UserID, roles []Role, account User) error {
	switch {
	case by != "" && by.Same(account.UserID):
		return fault.New(fault.StateConflict).WithMessage("본인의 계정은 관리할 수 없습니다").WithDetail(
			"reason", "OWN_ACCOUNT")
	case account.Staff() && !slices.Contains(roles, Admin):
		return fault.New(fault.PermissionDenied)
	}
	return nil
}

// MayChange returns nil when a caller with the roles may turn before into after: MayTouch holds for both, and an active
// member of staff has a second factor (else CONFLICT).
func MayChange(by UserID, roles []Role, before, after User) error {
	for _, account := range []User{before, after} {
		if err := MayTouch(by, roles, account); err != nil {
			return err
		}
	}
	if after.Staff() && after.Status == Active && !after.SecondFactor {
		return fault.New(fault.StateConflict).WithMessage("2단계 인증이 등록된 계정만 운영자 또는 관리자가 될 수 있습니다").
			WithDetail("reason", "STAFF_NEEDS_SECOND_FACTOR")
	}
	return after.CheckRights()
}

// Lengths of a reason, in characters.
const (
	minReason = 2
	maxReason = 200
)

// ParseReason trims and checks the reason of an action of staff: at most 200 printable characters, of which at least 2
// are no spaces (two Korean syllables can be a reason).
func ParseReason(s string) (string, error) { return ParseReasonUpTo(maxReason, s) }

// ParseReasonUpTo applies the one rule for reasons, for a text of at most `most` characters, which may have several
// lines when it is longer than the usual 200, counted in NFC. VALIDATION_ERROR names the field reason.
func ParseReasonUpTo(most int, s string) (string, error) {
	s = strings.TrimSpace(personal.NFC(s))
	readable := func(r rune) bool { return unicode.IsPrint(r) || r == '\n' && most > maxReason }
	visible := 0
	for _, r := range s {
		if !unicode.IsSpace(r) {
			visible++
		}
	}
	if visible < minReason || utf8.RuneCountInString(s) > most || !utf8.ValidString(s) || !allRunes(s, readable) {
		return "", fault.InvalidField("reason",
			fmt.Sprintf("공백을 제외하고 %d자 이상, %d자 이내로 입력해야 합니다", minReason, most))
	}
	return s, nil
}

func allRunes(s string, ok func(rune) bool) bool {
	for _, r := range s {
		if !ok(r) {
			return false
		}
	}
	return true
}

// StatusAt returns what staff see: LOCKED while wrong passwords keep an active account out.
func (u User) StatusAt(lockedUntil, now time.Time) Status {
	if u.Status == Active && now.Before(lockedUntil) {
		return LockedOut
	}
	return u.Status
}
