// Package auth holds who may do what: users, roles, permissions, the lockout rule, sessions and their refresh
// generations (UFR-AUTH-010, UFR-AUTH-020).
package auth

import (
	"regexp"
	"slices"
	"time"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// UserID is the id a customer types to log in.
type UserID string

var userIDPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{3,20}$`)

// ParseUserID accepts 3-20 letters, digits, _ and -; anything else is a VALIDATION_ERROR on userId.
func ParseUserID(s string) (UserID, error) {
	if !userIDPattern.MatchString(s) {
		return "", fault.InvalidField("userId", "3~20자의 영문, 숫자, '_', '-'만 사용할 수 있습니다")
	}
	return UserID(s), nil
}

// Role is what a user is.
type Role string

// The roles.
const (
	Customer Role = "CUSTOMER"
	Operator Role = "OPERATOR"
	Admin    Role = "ADMIN"
)

// Permission is what a user may do.
type Permission string

// The permissions.
const (
	BillInquiry   Permission = "BILL_INQUIRY"
	ProductChange Permission = "PRODUCT_CHANGE"
	UserAdmin     Permission = "USER_ADMIN"
	Operations    Permission = "OPERATIONS"
)

// AllPermissions lists every permission in the order in which it is shown.
func AllPermissions() []Permission {
	return []Permission{BillInquiry, ProductChange, UserAdmin, Operations}
}

// Description is the Korean text of a permission.
func (p Permission) Description() string {
	switch p {
	case BillInquiry:
		return "요금 조회 서비스"
	case ProductChange:
		return "상품 변경 서비스"
	case UserAdmin:
		return "사용자 관리"
	case Operations:
		return "운영 관리"
	default:
		return string(p)
	}
}

// Status is the state of an account.
type Status string

// The account states. Locked is shown to the user but computed from Attempts, never stored.
const (
	Active    Status = "ACTIVE"
	LockedOut Status = "LOCKED"
	Suspended Status = "SUSPENDED"
	Inactive  Status = "INACTIVE"
)

// Grant is a permission given to one user, for good or until ExpiresAt (zero = for good).
type Grant struct {
	Permission Permission
	ExpiresAt  time.Time
}

// User is an account. A customer owns one or more lines; staff own none.
type User struct {
	UserID       UserID
	PasswordHash personal.Secret
	Name         personal.Name
	Phone        line.Number
	Email        personal.Email
	CustomerID   string
	Lines        []line.Number
	Roles        []Role
	Grants       []Grant
	Status       Status
	LastLoginAt  time.Time
}

// Permissions are the permissions in force at now, in the order of AllPermissions. ADMIN holds all (api.md).
func (u User) Permissions(now time.Time) []Permission {
	held := make([]Permission, 0, len(u.Grants))
	for _, p := range AllPermissions() {
		if slices.Contains(u.Roles, Admin) || slices.ContainsFunc(u.Grants, func(g Grant) bool {
			return g.Permission == p && (g.ExpiresAt.IsZero() || now.Before(g.ExpiresAt))
		}) {
			held = append(held, p)
		}
	}
	return held
}

// Principal is the authenticated caller of one request, as told by his access token.
type Principal struct {
	UserID      UserID
	SessionID   id.ID
	CustomerID  string
	Lines       []line.Number
	Roles       []Role
	Permissions []Permission
	ExpiresAt   time.Time
}

// Has tells whether the token carries the permission.
func (p Principal) Has(want Permission) bool { return slices.Contains(p.Permissions, want) }

// Owns is nil when the line belongs to the caller, else FORBIDDEN (decision 5).
func (p Principal) Owns(n line.Number) error {
	if slices.Contains(p.Lines, n) {
		return nil
	}
	return fault.New(fault.PermissionDenied).WithField("lineNumber", "본인의 회선이 아닙니다")
}

// PickLine is the line asked for, or the caller's first line when none was (menus); FORBIDDEN when it is not his,
// LINE_NOT_FOUND when he has none.
func (p Principal) PickLine(asked line.Number) (line.Number, error) {
	if !asked.IsZero() {
		return asked, p.Owns(asked)
	}
	if len(p.Lines) == 0 {
		return line.Number{}, fault.New(fault.LineNotFound)
	}
	return p.Lines[0], nil
}

// Client is where a request came from, as recorded in the login history.
type Client struct {
	IP        string
	UserAgent string
}

// SigningKey is one Ed25519 key pair of the token issuer. Seed is the 32-byte private seed.
type SigningKey struct {
	KeyID     string
	Seed      personal.Secret
	CreatedAt time.Time
}

// Revocation says that a session's tokens are dead although they still verify (decision 2).
type Revocation struct {
	SessionID id.ID
	At        time.Time
}
