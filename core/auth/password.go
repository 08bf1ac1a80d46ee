package auth

import (
	_ "embed" // the list below
	"strings"
	"unicode"
	"unicode/utf8"

	"phonebill/core/fault"
	"phonebill/core/personal"
)

// commonPasswords are folded to lower case, one per line, with a line end before the first and after the last.
//
//go:embed common_passwords.txt
var commonPasswords string

// The bounds of a password, in characters (code points) of its NFC.
const (
	ShortestPassword = 8
	LongestPassword  = 64
)

// minLetters is how many different letters, digits and signs a password must show: blanks alone, invisible
// characters, and one letter repeated are guessed first.
const minLetters = 2

// CheckPassword returns nil for a password that the user may take: 8-64 characters of any script, none of the
// commonest, of at least two different letters, digits or signs, without control characters, and without the user's own
// id in it; no other composition is required (NIST SP 800-63B, 5.1.1.2). Otherwise it returns a VALIDATION_ERROR on the
// field. Two spellings of one text in Unicode are one password, so all of this is about its NFC (RFC 8265).
func CheckPassword(field string, user UserID, password personal.Secret) error {
	clear := personal.NFC(password.Reveal())
	folded := personal.Skeleton(clear)
	n := utf8.RuneCountInString(clear)
	switch {
	case !utf8.ValidString(clear) || strings.ContainsFunc(clear, unicode.IsControl):
		return fault.InvalidField(field, "사용할 수 없는 문자가 있습니다")
	case n < ShortestPassword || n > LongestPassword:
		return fault.InvalidField(field, "8~64자여야 합니다")
	case strings.Contains(commonPasswords, "\n"+folded+"\n"):
		return fault.InvalidField(field, "너무 흔히 쓰이는 비밀번호입니다")
	case personal.Letters(clear) < minLetters:
		return fault.InvalidField(field, "공백이나 같은 문자만으로는 만들 수 없습니다")
	case user != "" && strings.Contains(folded, strings.ToLower(string(user))):
		return fault.InvalidField(field, "ID를 포함할 수 없습니다")
	}
	return nil
}

// TypedPassword returns nil for a password that some account may have; else a VALIDATION_ERROR on the field. It is for
// passwords that are verified: those from before the current rules log in until they are changed.
func TypedPassword(field string, password personal.Secret) error {
	if utf8.RuneCountInString(personal.NFC(password.Reveal())) > LongestPassword {
		return fault.InvalidField(field, "64자 이하여야 합니다")
	}
	return nil
}
