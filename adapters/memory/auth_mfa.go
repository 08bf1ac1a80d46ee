package memory

import (
	"context"
	"strconv"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
)

// SecondFactors implements ports.SecondFactors. Users, when set, is updated with which users have a confirmed factor.
type SecondFactors struct {
	Users *Users
	mu    sync.Mutex
	totp  map[auth.UserID]auth.TOTP
	codes map[auth.UserID]map[personal.Secret]bool // true = used
}

// Get returns the account's TOTP.
func (f *SecondFactors) Get(_ context.Context, user auth.UserID) (auth.TOTP, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return found(f.totp, user)
}

// Begin stores an unconfirmed TOTP.
func (f *SecondFactors) Begin(_ context.Context, user auth.UserID, t auth.TOTP) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.totp[user].Confirmed() {
		return fault.New(fault.StateConflict)
	}
	if f.totp == nil {
		f.totp = map[auth.UserID]auth.TOTP{}
	}
	f.totp[user] = auth.TOTP{Secret: t.Secret, CreatedAt: t.CreatedAt}
	return nil
}

// BeginNext stores a TOTP beside the confirmed one.
func (f *SecondFactors) BeginNext(_ context.Context, user auth.UserID, t auth.TOTP) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := f.totp[user]
	if !held.Confirmed() {
		return fault.New(fault.StateConflict)
	}
	held.Next, held.NextCreatedAt = t.Secret, t.CreatedAt
	f.totp[user] = held
	return nil
}

// Confirm makes it count.
func (f *SecondFactors) Confirm(_ context.Context, user auth.UserID, t auth.TOTP, codes []personal.Secret) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	held, ok := f.totp[user]
	begun, waits := held.Begun()
	if !ok || !waits || begun.Secret != t.Secret {
		return fault.New(fault.StateConflict)
	}
	begun.ConfirmedAt, begun.LastStep = t.ConfirmedAt, t.LastStep
	f.totp[user] = begun
	if f.codes == nil {
		f.codes = map[auth.UserID]map[personal.Secret]bool{}
	}
	f.codes[user] = map[personal.Secret]bool{}
	for _, code := range codes {
		f.codes[user][code] = false
	}
	f.noteFactor(user, true)
	return nil
}

func (f *SecondFactors) noteFactor(user auth.UserID, counts bool) {
	if f.Users != nil {
		f.Users.edit(user, func(u *auth.User) { u.SecondFactor = counts })
	}
}

// Accept takes the code of a step once.
func (f *SecondFactors) Accept(_ context.Context, user auth.UserID, step int64) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.totp[user]
	if !t.Confirmed() || step <= t.LastStep {
		return false, nil
	}
	t.LastStep = step
	f.totp[user] = t
	return true, nil
}

// UseRecoveryCode takes a code once.
func (f *SecondFactors) UseRecoveryCode(
	_ context.Context, user auth.UserID, code personal.Secret, _ time.Time,
) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	used, ok := f.codes[user][code]
	if !ok || used {
		return false, nil
	}
	f.codes[user][code] = true
	return true, nil
}

// Replace puts one that counts at once.
func (f *SecondFactors) Replace(ctx context.Context, user auth.UserID, t auth.TOTP, codes []personal.Secret) error {
	f.mu.Lock()
	delete(f.totp, user)
	f.mu.Unlock()
	if err := f.Begin(ctx, user, t); err != nil {
		return err
	}
	return f.Confirm(ctx, user, t, codes)
}

// Remove forgets everything, but not of staff.
func (f *SecondFactors) Remove(_ context.Context, user auth.UserID) error {
	refused := false
	if f.Users != nil { // in one step with a change of roles
		f.Users.edit(user, func(u *auth.User) { refused, u.SecondFactor = u.Staff(), u.SecondFactor && u.Staff() })
	}
	if refused {
		return fault.New(fault.StateConflict).WithDetail("reason", "STAFF_NEEDS_SECOND_FACTOR")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.totp, user)
	delete(f.codes, user)
	return nil
}

// OneTimeCodes implements ports.OneTimeCodes readably: the code of a step is the step's last six digits, whatever the
// secret.
type OneTimeCodes struct {
	mu   sync.Mutex
	made int
}

// NewSecret returns SECRET1, SECRET2, …
func (c *OneTimeCodes) NewSecret() personal.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made++
	return personal.NewSecret("SECRET" + strconv.Itoa(c.made))
}

// URI returns a readable URI.
func (*OneTimeCodes) URI(user auth.UserID, secret personal.Secret) personal.Secret {
	return personal.NewSecret("otpauth://totp/" + string(user) + "?secret=" + secret.Reveal())
}

// Code returns the code that is right at now.
func (*OneTimeCodes) Code(now time.Time) personal.Secret {
	const digits = 1_000_000
	return personal.NewSecret(strconv.FormatInt(digits+now.Unix()/30%digits, 10)[1:])
}

// Step compares with the code at now.
func (c *OneTimeCodes) Step(_, code personal.Secret, now time.Time) (int64, bool) {
	return now.Unix() / 30, code == c.Code(now)
}

// NewRecoveryCodes returns code-aaaaa, …
func (*OneTimeCodes) NewRecoveryCodes() []personal.Secret {
	codes := make([]personal.Secret, auth.RecoveryCodes)
	for i := range codes {
		codes[i] = personal.NewSecret("codes-aaaa" + string(rune('a'+i)))
	}
	return codes
}
