package devstack

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"phonebill/adapters/credentials"
	"phonebill/adapters/kos/kossim"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Login is a demo account as printed and written to demo.json.
type Login struct {
	UserID     string `json:"userId"`
	Password   string `json:"password"`
	LineNumber string `json:"lineNumber,omitempty"` // digits
	Scenario   string `json:"scenario,omitempty"`
	TOTPSecret string `json:"totpSecret,omitempty"`
}

// People are the demo accounts.
type People struct {
	Customers []Login
	Operator  Login
	Admin     Login
}

// Secret returns a value that is made once and kept.
type Secret func(name string, fresh func() string) (string, error)

// PlanPeople names the demo accounts: a customer for each line of R-KOS-LINES, an operator and an admin. Ids are
// unusual, like demo-k7q2-1, so that they can be searched for in logs and metrics.
func PlanPeople(secret Secret, readable func(n int) string) (People, error) {
	tag, err := secret("demo.tag", func() string { return readable(4) })
	if err != nil {
		return People{}, err
	}
	login := func(suffix string) (Login, error) {
		user := "demo-" + tag + "-" + suffix
		password, err := secret("demo.password."+suffix, func() string { return readable(14) })
		return Login{UserID: user, Password: password}, err
	}
	staff := func(suffix string) (Login, error) {
		l, err1 := login(suffix)
		var err2 error
		l.TOTPSecret, err2 = secret("demo.totp."+suffix, func() string {
			return credentials.OneTimeCodes{}.NewSecret().Reveal()
		})
		return l, errors.Join(err1, err2)
	}
	var p People
	for i, d := range kossim.DemoLines() {
		l, err := login(strconv.Itoa(i + 1))
		if err != nil {
			return p, err
		}
		l.LineNumber, l.Scenario = d.LineNumber, string(d.Scenario)
		p.Customers = append(p.Customers, l)
	}
	var err1, err2 error
	p.Operator, err1 = staff("operator")
	p.Admin, err2 = staff("admin")
	return p, errors.Join(err1, err2)
}

// SeedPeople creates the accounts that do not exist yet, the staff with their second factor.
func SeedPeople(ctx context.Context, p People, users ports.Users, factors ports.SecondFactors, now time.Time) error {
	hasher := credentials.NewHasher(credentials.DefaultHashParams())
	for _, c := range p.Customers {
		n, err := line.Parse(c.LineNumber)
		if err != nil {
			return err
		}
		owner := kossim.CustomerOf(c.LineNumber)
		account := auth.User{
			UserID: auth.UserID(c.UserID), Name: personal.NewName(owner.CustomerName), Phone: n,
			Email: personal.NewEmail(c.UserID + "@example.com"), CustomerID: owner.CustomerID, Lines: []line.Number{n},
			Roles: []auth.Role{auth.Customer}, Status: auth.Active,
			Grants: []auth.Grant{{Permission: auth.BillInquiry}, {Permission: auth.ProductChange}},
		}
		if err := seed(ctx, account, c.Password, users, hasher, now); err != nil {
			return err
		}
	}
	operator := auth.User{
		UserID: auth.UserID(p.Operator.UserID), Name: personal.NewName("운영자"),
		Email: personal.NewEmail(p.Operator.UserID + "@example.com"),
		Roles: []auth.Role{auth.Operator}, Status: auth.Active, Grants: []auth.Grant{{Permission: auth.Operations}},
	}
	admin := auth.User{
		UserID: auth.UserID(p.Admin.UserID), Name: personal.NewName("관리자"),
		Email: personal.NewEmail(p.Admin.UserID + "@example.com"),
		Roles: []auth.Role{auth.Admin}, Status: auth.Active,
	}
	return errors.Join(
		seed(ctx, operator, p.Operator.Password, users, hasher, now), seed(ctx, admin, p.Admin.Password, users, hasher, now),
		enrol(ctx, p.Operator, factors, now), enrol(ctx, p.Admin, factors, now),
	)
}

// enrol gives the account its second factor unless it has one. It has no recovery codes: the demo file has the secret.
func enrol(ctx context.Context, l Login, factors ports.SecondFactors, now time.Time) error {
	user, t := auth.UserID(l.UserID), auth.TOTP{Secret: personal.NewSecret(l.TOTPSecret), CreatedAt: now, ConfirmedAt: now}
	held, err := factors.Get(ctx, user)
	switch {
	case err == nil && held.Confirmed():
		return nil
	case err != nil && !errors.Is(err, fault.New(fault.ResourceNotFound)):
		return err
	}
	if err := factors.Begin(ctx, user, t); err != nil {
		return err
	}
	return factors.Confirm(ctx, user, t, nil)
}

func seed(
	ctx context.Context, u auth.User, password string, users ports.Users, hasher ports.PasswordHasher, now time.Time,
) error {
	_, err := users.ByID(ctx, u.UserID)
	if !errors.Is(err, fault.New(fault.UserNotFound)) {
		return err
	}
	if u.PasswordHash, err = hasher.Hash(ctx, personal.NewSecret(password)); err != nil {
		return fmt.Errorf("demo account %s: %w", u.UserID, err)
	}
	u.CreatedAt = now
	for i := range u.Grants {
		u.Grants[i].GrantedAt = now
	}
	return users.Create(ctx, u)
}
