package auth

import (
	_ "embed" // the list below
	"strings"
	"unicode/utf8"

	"phonebill/core/fault"
	"phonebill/core/personal"
)

// commonPasswords are folded to lower case, one per line, with a line end before the first and after the last.
//
//go:embed common_passwords.txt
var commonPasswords string

// The bounds of a password, in characters (code points).
const (
	ShortestPassword = 8
	LongestPassword  = 64
)

// CheckPassword tells whether the user may take the password: 8-64 characters of any script, none of the commonest, and without his
// own id in it; what it is made of is his business (NIST SP 800-63B, 5.1.1.2). Otherwise it is a VALIDATION_ERROR on the field.
func CheckPassword(field string, user UserID, password personal.Secret) error {
	clear := password.Reveal()
	folded := strings.ToLower(clear)
	n := utf8.RuneCountInString(clear)
	switch {
	case !utf8.ValidString(clear) || strings.ContainsRune(clear, 0):
		return fault.InvalidField(field, "사용할 수 없는 문자가 있습니다")
	case n < ShortestPassword || n > LongestPassword:
		return fault.InvalidField(field, "8~64자여야 합니다")
	case strings.Contains(commonPasswords, "\n"+folded+"\n"):
		return fault.InvalidField(field, "너무 흔히 쓰이는 비밀번호입니다")
	case user != "" && strings.Contains(folded, strings.ToLower(string(user))):
		return fault.InvalidField(field, "ID를 포함할 수 없습니다")
	}
	return nil
}
