package auth

import (
	"regexp"
	"time"

	"phonebill/core/fault"
	"phonebill/core/personal"
)

// TOTP is one account's second factor: six digits that change every 30 s (RFC 6238, HMAC-SHA-1, the one form every
// authenticator app knows).
type TOTP struct {
	Secret      personal.Secret // base32, as it stands in the otpauth URI
	CreatedAt   time.Time
	ConfirmedAt time.Time // zero until the owner has entered a code of the secret
	LastStep    int64     // the time step of the last code accepted; none at or before it is accepted again
	// Next is a secret that takes the place of a confirmed one once its owner has entered a code of it; the zero secret
	// when there is none.
	Next          personal.Secret
	NextCreatedAt time.Time
}

// Begun returns the factor that waits for a code of its owner: the next one, or the only one while it is not confirmed.
// ok is false when none waits.
func (t TOTP) Begun() (begun TOTP, ok bool) {
	if t.Next.Reveal() != "" {
		return TOTP{Secret: t.Next, CreatedAt: t.NextCreatedAt}, true
	}
	return t, !t.Confirmed()
}

// Confirmed reports whether the factor is required at login.
func (t TOTP) Confirmed() bool { return !t.ConfirmedAt.IsZero() }

// RecoveryCodes is how many recovery codes an enrolment returns.
const RecoveryCodes = 10

// CodeKind is what a submitted one-time code may be.
type CodeKind uint8

// The kinds of codes.
const (
	CodeMissing CodeKind = iota
	CodeTOTP
	CodeRecovery
	CodeMalformed
)

var (
	totpCode     = regexp.MustCompile(`^[0-9]{6}$`)
	recoveryCode = regexp.MustCompile(`^(?i:[a-z2-7]{5}-[a-z2-7]{5})$`)
)

// KindOfCode distinguishes the kinds by their form.
func KindOfCode(code personal.Secret) CodeKind {
	switch clear := code.Reveal(); {
	case clear == "":
		return CodeMissing
	case totpCode.MatchString(clear):
		return CodeTOTP
	case recoveryCode.MatchString(clear):
		return CodeRecovery
	default:
		return CodeMalformed
	}
}

// FactorNeeded returns the AUTH_004 that asks for a code; FactorWrong returns the AUTH_004 that refuses one. A client
// distinguishes them by the field.
func FactorNeeded() error {
	return fault.New(fault.SecondFactor).WithField("otp", "인증 앱의 6자리 코드 또는 복구 코드를 입력해주세요")
}

// FactorWrong is explained at FactorNeeded.
func FactorWrong() error {
	return fault.New(fault.SecondFactor).WithField("otp", "코드가 올바르지 않거나 이미 사용되었습니다")
}

// Reauthentication turns the errors of a login for a wrong password or code into those within a session:
// REAUTHENTICATION_FAILED with the same message, and the code of the login as details.reason. A 401 would make a client
// log in again, and one that refreshes and repeats by itself would lock its owner out. field names the password in the
// request. Other errors stay as they are.
func Reauthentication(err error, field string) error {
	f := fault.From(err)
	if f == nil || f.Kind() != fault.Unauthenticated {
		return err
	}
	within := fault.New(fault.ReauthenticationFailed).WithMessage(f.Message()).
		WithDetail("reason", string(f.Code())).Because(err)
	if f.Code() == fault.WrongCredentials {
		within = within.WithField(field, "비밀번호가 올바르지 않습니다")
	}
	for _, bad := range f.Fields() {
		within = within.WithField(bad.Name, bad.Reason)
	}
	return within
}
