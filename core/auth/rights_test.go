package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/personal"
)

func refusedField(t *testing.T, want string, err error, msg ...any) {
	t.Helper()
	if want == "" {
		require.NoError(t, err, msg...)
		return
	}
	require.ErrorIs(t, err, fault.New(fault.ValidationError), msg...)
	require.Equal(t, want, fault.From(err).Fields()[0].Name, msg...)
}

func TestCheckRights(t *testing.T) {
	t.Parallel()
	one, two := number(t, "01012345678"), number(t, "01087654321")
	grant := func(p auth.Permission) []auth.Grant { return []auth.Grant{{Permission: p}} }
	for name, c := range map[string]struct {
		u    auth.User
		want string
	}{
		"customer":              {auth.User{Roles: []auth.Role{auth.Customer}, Lines: []line.Number{one, two}}, ""},
		"customer with a grant": {auth.User{Roles: []auth.Role{auth.Customer}, Grants: grant(auth.BillInquiry)}, ""},
		"operator":              {auth.User{Roles: []auth.Role{auth.Operator}, Grants: grant(auth.UserAdmin)}, ""},
		"both":                  {auth.User{Roles: []auth.Role{auth.Customer, auth.Admin}, Lines: []line.Number{one}}, ""},
		"no roles":              {auth.User{}, "roles"},
		"twice the same":        {auth.User{Roles: []auth.Role{auth.Customer, auth.Customer}}, "roles"},
		"made up":               {auth.User{Roles: []auth.Role{"KING"}}, "roles"},
		"staff with a line":     {auth.User{Roles: []auth.Role{auth.Operator}, Lines: []line.Number{one}}, "lines"},
		"line twice": {auth.User{Roles: []auth.Role{auth.Customer}, Lines: []line.Number{one, two, one}},
			"lines"},
		"too many lines": {auth.User{Roles: []auth.Role{auth.Customer}, Lines: make([]line.Number, 51)}, "lines"},
		"customer as operator": {auth.User{Roles: []auth.Role{auth.Customer}, Grants: grant(auth.Operations)},
			"permissions"},
		"customer as user admin": {auth.User{Roles: []auth.Role{auth.Customer}, Grants: grant(auth.UserAdmin)},
			"permissions"},
	} {
		refusedField(t, c.want, c.u.CheckRights(), name)
	}
}

func TestWithAndWithoutGrant(t *testing.T) {
	t.Parallel()
	u := auth.User{Roles: []auth.Role{auth.Customer}, Grants: []auth.Grant{{Permission: auth.ProductChange}}}
	got, err := u.WithGrant(auth.Grant{Permission: auth.BillInquiry, ExpiresAt: now.Add(1), GrantedAt: now,
		GrantedBy: "admin"})
	require.NoError(t, err)
	require.Equal(t, []auth.Permission{auth.BillInquiry, auth.ProductChange}, got.Permissions(now))
	require.Equal(t, []auth.Permission{auth.ProductChange}, got.Permissions(now.Add(1)))
	again, err := got.WithGrant(auth.Grant{Permission: auth.BillInquiry, GrantedAt: now, GrantedBy: "other"})
	require.NoError(t, err)
	require.Len(t, again.Grants, 2, "one grant per permission")
	g, ok := again.GrantOf(auth.BillInquiry)
	require.True(t, ok)
	require.Equal(t, "other", g.GrantedBy)
	_, err = u.WithGrant(auth.Grant{Permission: auth.BillInquiry, ExpiresAt: now, GrantedAt: now})
	refusedField(t, "expiresAt", err)
	_, err = u.WithGrant(auth.Grant{Permission: auth.UserAdmin, GrantedAt: now})
	refusedField(t, "permissions", err)
	none := again.WithoutGrant(auth.BillInquiry)
	_, ok = none.GrantOf(auth.BillInquiry)
	require.False(t, ok)
	require.Len(t, again.Grants, 2, "the account before is not touched")
	require.Equal(t, none, none.WithoutGrant(auth.BillInquiry))
}

func TestMayChange(t *testing.T) {
	t.Parallel()
	customer := auth.User{UserID: "hong", Roles: []auth.Role{auth.Customer}, Status: auth.Active}
	operator := auth.User{UserID: "ops", Roles: []auth.Role{auth.Operator}, Status: auth.Active, SecondFactor: true}
	suspended := func(u auth.User) auth.User { u.Status = auth.Suspended; return u }
	promoted := func(u auth.User) auth.User { u.Roles = []auth.Role{auth.Admin}; return u }
	bare := func(u auth.User) auth.User { u.SecondFactor = false; return u }
	admins, operators := []auth.Role{auth.Admin}, []auth.Role{auth.Operator}
	for name, c := range map[string]struct {
		by            auth.UserID
		roles         []auth.Role
		before, after auth.User
		want          fault.Code
	}{
		"admin suspends a customer":               {"boss", admins, customer, suspended(customer), ""},
		"operator suspends a customer":            {"ops", operators, customer, suspended(customer), ""},
		"admin promotes with a factor":            {"boss", admins, operator, promoted(operator), ""},
		"admin promotes without one":              {"boss", admins, customer, promoted(customer), fault.StateConflict},
		"staff without a factor may be suspended": {"boss", admins, bare(operator), suspended(bare(operator)), ""},
		"not activated": {"boss", admins, suspended(bare(operator)), bare(operator),
			fault.StateConflict},
		"operator promotes":               {"ops", operators, customer, promoted(customer), fault.PermissionDenied},
		"operator demotes staff":          {"other", operators, operator, customer, fault.PermissionDenied},
		"own account":                     {"ops", admins, operator, suspended(operator), fault.StateConflict},
		"the command line has no account": {"", admins, operator, suspended(operator), ""},
		"rights that do not fit": {"boss", admins, customer, auth.User{UserID: "hong"},
			fault.ValidationError},
	} {
		err := auth.MayChange(c.by, c.roles, c.before, c.after)
		if c.want == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, fault.New(c.want), name)
		}
	}
	admin := promoted(operator)
	require.True(t, suspended(admin).StepsDown(admin))
	require.True(t, operator.StepsDown(admin))
	require.False(t, admin.StepsDown(admin))
	require.False(t, suspended(admin).StepsDown(suspended(admin)))
	require.ErrorIs(t, auth.LastAdmin(), fault.New(fault.StateConflict))
}

func TestTextsOfAccounts(t *testing.T) {
	t.Parallel()
	for field, cases := range map[string]struct {
		parse func(string) error
		good  []string
		bad   []string
	}{
		"reason": {
			func(s string) error { _, err := auth.ParseReason(s); return err },
			[]string{"ab", "두자", " 해지 ", strings.Repeat("가", 200)},
			[]string{"", "가", " 가 ", "가\u3000", "   ", strings.Repeat("x", 201), "a\nb", "a\x00bc", "ab\xff"},
		},
		"userName": {
			func(s string) error { _, err := auth.ParseName(s); return err },
			[]string{"홍길동", "Kim Lee", "김"}, []string{"", " 홍", "홍 ", strings.Repeat("x", 51), "홍\t길", "\xff", "홍\x00"},
		},
		"email": {
			func(s string) error { _, err := auth.ParseEmail(s); return err },
			[]string{"", "a@b", "hong.gil+x@example.co.kr", "홍@example.com"},
			[]string{"a", "@b", "a@", "a b@c", "a@b c", "a@-b", "a@@b", "\xff@b"},
		},
		"customerId": {
			func(s string) error { _, err := auth.ParseCustomerID(s); return err },
			[]string{"", "CUST-0001", strings.Repeat("x", 40)}, []string{"a b", strings.Repeat("x", 41), "고객"},
		},
		"phoneNumber": {
			func(s string) error { _, err := auth.ParsePhone(s); return err },
			[]string{"", "01012345678", "010-1234-5678"}, []string{"02-123-4567", "x"},
		},
		"status": {
			func(s string) error { _, err := auth.ParseStatus(s); return err },
			[]string{"ACTIVE", "SUSPENDED", "INACTIVE"}, []string{"LOCKED", "", "active"},
		},
		"roles": {
			func(s string) error { _, err := auth.ParseRole(s); return err },
			[]string{"CUSTOMER", "OPERATOR", "ADMIN"}, []string{"", "admin"},
		},
		"permissions": {
			func(s string) error { _, err := auth.ParsePermission(s); return err },
			[]string{"BILL_INQUIRY", "OPERATIONS"}, []string{"", "ALL"},
		},
		"hash": {
			func(s string) error { return auth.CheckHash("hash", personal.NewSecret(s)) },
			[]string{
				"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43),
				"$argon2id$v=19$m=262144,t=10,p=4$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43),
			},
			[]string{
				"", "$2y$10$x", "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43),
				"$argon2id$v=19$m=262145,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43),
				"$argon2id$v=19$m=19456,t=11,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43),
				"$argon2id$v=19$m=19456,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43),
				"$argon2id$v=19$m=19456,t=2,p=5$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43),
				"$argon2id$v=19$m=7,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + strings.Repeat("A", 43),
				"$argon2id$v=19$m=19456,t=2,p=1$AA$" + strings.Repeat("A", 43),
				"$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$A",
			},
		},
	} {
		for _, s := range cases.good {
			require.NoError(t, cases.parse(s), "%s %q", field, s)
		}
		for _, s := range cases.bad {
			refusedField(t, field, cases.parse(s), "%s %q", field, s)
		}
	}
}

func TestStatusShown(t *testing.T) {
	t.Parallel()
	a := auth.Account{User: auth.User{Status: auth.Active}, LockedUntil: now.Add(time.Minute)}
	require.Equal(t, auth.LockedOut, a.StatusNow(now))
	require.Equal(t, auth.Active, a.StatusNow(now.Add(time.Minute)))
	a.Status = auth.Suspended
	require.Equal(t, auth.Suspended, a.StatusNow(now))
}

func TestMaskedIP(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"203.0.113.9": "203.0.113.*", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2:*", "": "", "unknown": "*",
	} {
		require.Equal(t, want, auth.Client{IP: ip}.MaskedIP(), ip)
	}
}
