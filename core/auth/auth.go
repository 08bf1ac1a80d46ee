// Package auth holds the rules of authentication and rights: users, roles, permissions, the lockout rule, sessions and
// their refresh generations (UFR-AUTH-010, UFR-AUTH-020).
package auth

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
)

// UserID is the id a customer types to log in.
type UserID string

// console begins the name of a user of the console; no user id has a colon.
const console = "cli:"

// AtConsole names the account of the operating system that works at the console.
func AtConsole(account string) UserID { return UserID(console + account) }

// IsAtConsole reports whether the name is one of AtConsole and not a user id.
func (u UserID) IsAtConsole() bool { return strings.HasPrefix(string(u), console) }

var userIDPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{3,20}$`)

// ParseUserID accepts 3-20 letters, digits, _ and -; anything else is a VALIDATION_ERROR on userId.
func ParseUserID(s string) (UserID, error) {
	if !userIDPattern.MatchString(s) {
		return "", fault.InvalidField("userId", "3~20자의 영문, 숫자, '_', '-'만 사용할 수 있습니다")
	}
	return UserID(s), nil
}

// Folded returns the id in lower case. Ids are ASCII, and phones capitalise the first letter: whatever its case, an id
// is one account.
func (u UserID) Folded() UserID { return UserID(strings.ToLower(string(u))) }

// Same reports ids that differ in case at most. Persons are compared by it: where two must agree, one with two
// spellings is one.
func (u UserID) Same(other UserID) bool { return u.Folded() == other.Folded() }

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

// Description returns the Korean text of a permission.
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

// Grant is a permission given to one user, for good or until ExpiresAt (zero = for good). GrantedBy names the user or
// command that gave it.
type Grant struct {
	Permission Permission
	ExpiresAt  time.Time
	GrantedBy  string
	GrantedAt  time.Time
}

// InForce reports whether the grant holds at now.
func (g Grant) InForce(now time.Time) bool { return g.ExpiresAt.IsZero() || now.Before(g.ExpiresAt) }

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
	CreatedAt    time.Time
	Version      int // counts every change of the account; an update of an older one is refused
	// counts changes of status, roles, lines, grants and tier; tokens of an older epoch are refused (ADR 14)
	Epoch        int
	SecondFactor bool // a TOTP is enrolled and confirmed
	// InitialPassword means that the password was chosen by staff: until its owner has changed it, it allows nothing
	// else.
	InitialPassword bool
	// FactorHandedOver means that another person made the second factor, and so knows its secret: the owner has to
	// enrol anew.
	FactorHandedOver bool
	// Tier says how many requests the account may make; empty is TierDefault.
	Tier       Tier
	Unreadable []Part
}

// Part is a part of an account that is stored sealed. What cannot be opened of an account is absent from it and named
// in Unreadable, so that the rest can be shown and used; nothing of it is lost when the account is changed.
type Part string

// The parts.
const (
	PartName     Part = "NAME"
	PartPhone    Part = "PHONE"
	PartEmail    Part = "EMAIL"
	PartLines    Part = "LINES"    // at least one of them
	PartPassword Part = "PASSWORD" // the account cannot be logged in to
)

// Changed returns the account after a change of the one before: one version on, and one epoch on when the claims of its
// tokens are no longer true (ADR 14). A grant's giver and time are no rights. Values that only the store may set stay
// as they were.
func (u User) Changed(before User) User {
	u.UserID, u.CreatedAt, u.LastLoginAt, u.SecondFactor = before.UserID, before.CreatedAt, before.LastLoginAt,
		before.SecondFactor
	u.Unreadable = u.stillUnreadable(before)
	u.Version, u.Epoch = before.Version+1, before.Epoch
	if !u.sameRights(before) {
		u.Epoch++
	}
	return u
}

// stillUnreadable returns what could not be opened of the account before and was not given anew.
func (u User) stillUnreadable(before User) []Part {
	given := map[Part]bool{
		PartName: u.Name != before.Name, PartPhone: u.Phone != before.Phone, PartEmail: u.Email != before.Email,
		PartLines: !slices.Equal(u.Lines, before.Lines), PartPassword: u.PasswordHash != before.PasswordHash,
	}
	var still []Part
	for _, part := range before.Unreadable {
		if !given[part] {
			still = append(still, part)
		}
	}
	return still
}

func (u User) sameRights(v User) bool {
	sameGrant := func(a, b Grant) bool { return a.Permission == b.Permission && a.ExpiresAt.Equal(b.ExpiresAt) }
	return u.Status == v.Status && u.InitialPassword == v.InitialPassword && u.FactorHandedOver == v.FactorHandedOver &&
		u.CustomerID == v.CustomerID && u.Tier.OrDefault() == v.Tier.OrDefault() &&
		slices.Equal(u.Lines, v.Lines) && slices.Equal(u.Roles, v.Roles) &&
		slices.EqualFunc(u.Grants, v.Grants, sameGrant)
}

// Staff reports whether the account is an operator's or administrator's; both must have a second factor
// (R-SECOND-FACTOR).
func (u User) Staff() bool { return staff(u.Roles) }

func staff(roles []Role) bool {
	return slices.Contains(roles, Operator) || slices.Contains(roles, Admin)
}

// RightsEnd returns when the first of the grants in force at now expires; zero when none does. No token outlives it.
func (u User) RightsEnd(now time.Time) time.Time {
	var first time.Time
	for _, g := range u.Grants {
		if g.InForce(now) && !g.ExpiresAt.IsZero() && (first.IsZero() || g.ExpiresAt.Before(first)) {
			first = g.ExpiresAt
		}
	}
	return first
}

// Duty is what the owner of an account must do before anything else is allowed.
type Duty string

// The duties.
const (
	ChangePassword Duty = "CHANGE_PASSWORD"     // of an owner whose password was chosen by staff
	EnrolFactor    Duty = "ENROL_SECOND_FACTOR" // of an owner whose second factor another person made
)

// Duties returns the duties of the account's owner, in the order in which they are to be done.
func (u User) Duties() []Duty {
	var duties []Duty
	if u.InitialPassword {
		duties = append(duties, ChangePassword)
	}
	if u.FactorHandedOver {
		duties = append(duties, EnrolFactor)
	}
	return duties
}

// Due returns nil when the caller has no duty left but those that the operation is for; else PASSWORD_CHANGE_REQUIRED
// or SECOND_FACTOR_ENROLMENT_REQUIRED.
func (p Principal) Due(operationIsFor []Duty) error {
	for _, d := range p.Duties {
		if !slices.Contains(operationIsFor, d) {
			return fault.New(d.refusal())
		}
	}
	return nil
}

// refusal returns the code of an operation that has to wait for the duty. A duty that this release does not know is
// refused as a missing right: a newer release set it.
func (d Duty) refusal() fault.Code {
	switch d {
	case ChangePassword:
		return fault.PasswordChangeRequired
	case EnrolFactor:
		return fault.EnrolmentRequired
	default:
		return fault.PermissionDenied
	}
}

// Permissions returns the permissions in force at now, by role or by grant, in the order of AllPermissions.
func (u User) Permissions(now time.Time) []Permission {
	held := make([]Permission, 0, len(u.Grants))
	for _, p := range AllPermissions() {
		if byRole(u.Roles, p) || slices.ContainsFunc(u.Grants, func(g Grant) bool {
			return g.Permission == p && g.InForce(now)
		}) {
			held = append(held, p)
		}
	}
	return held
}

// Principal is the authenticated caller of one request, as stated in the access token.
type Principal struct {
	UserID      UserID
	SessionID   id.ID
	CustomerID  string
	Lines       []line.Number
	Roles       []Role
	Permissions []Permission
	Epoch       int // of the user's rights when the token was issued
	ExpiresAt   time.Time
	Duties      []Duty // what the caller has to do before anything else; usually none
	Tier        Tier   // how many requests the caller may make; empty is TierDefault
}

// Staff reports whether the caller is an operator or administrator.
func (p Principal) Staff() bool { return staff(p.Roles) }

// Has reports whether the token carries the permission.
func (p Principal) Has(want Permission) bool { return slices.Contains(p.Permissions, want) }

// Owns returns nil when the line belongs to the caller, else FORBIDDEN (ADR 17).
func (p Principal) Owns(n line.Number) error {
	if slices.Contains(p.Lines, n) {
		return nil
	}
	return fault.New(fault.PermissionDenied).WithField("lineNumber", "본인의 회선이 아닙니다")
}

// OwnLines returns the lines asked for, or all of the caller's where none is; FORBIDDEN when one is not the caller's.
func (p Principal) OwnLines(asked []line.Number) ([]line.Number, error) {
	if len(asked) == 0 {
		return p.Lines, nil
	}
	for _, n := range asked {
		if err := p.Owns(n); err != nil {
			return nil, err
		}
	}
	return asked, nil
}

// PickLine returns the line asked for, or the caller's first line when none was (menus); FORBIDDEN when it is not the
// caller's, LINE_NOT_FOUND when the caller has none.
func (p Principal) PickLine(asked line.Number) (line.Number, error) {
	if !asked.IsZero() {
		return asked, p.Owns(asked)
	}
	if len(p.Lines) == 0 {
		return line.Number{}, fault.New(fault.LineNotFound)
	}
	return p.Lines[0], nil
}

// Client is the origin of a request, as recorded in the login history. Service names the system that called with a
// service credential for this end user; otherwise it is empty (ADR 29).
type Client struct {
	IP        string
	UserAgent string
	Service   string
}

// SigningKey is one Ed25519 key pair of the token issuer. Seed is the 32-byte private seed.
type SigningKey struct {
	KeyID     string
	Seed      personal.Secret
	CreatedAt time.Time
	ActiveAt  time.Time // signs from then on, until a younger key does
	RetiredAt time.Time // refused from then on; zero = by the calendar of the rotation
}

// Revocation makes tokens invalid although they still verify (ADR 14): those of one session, or, when UserID is set,
// those of one user whose epoch is below Epoch.
type Revocation struct {
	SessionID id.ID
	UserID    UserID
	Epoch     int
	At        time.Time
	Why       EndReason // of a session; empty when it is not known
}
