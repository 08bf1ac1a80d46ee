package auth

import (
	"regexp"
	"strconv"

	"phonebill/core/fault"
	"phonebill/core/personal"
)

// hashPattern is argon2id in the form of the PHC, with a salt of at least 8 bytes and a key of 32.
var hashPattern = regexp.MustCompile(`^\$argon2id\$v=19\$m=([0-9]{1,6}),t=([0-9]{1,2}),p=([0-9])` +
	`\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{43}$`)

// Costs that an imported hash may ask of every login: no more than 256 MiB, 10 passes, 4 lanes, and no less memory than
// 8 KiB a lane (RFC 9106, 3.1).
const (
	maxHashKiB    = 256 << 10
	minHashKiB    = 8
	maxHashPasses = 10
	maxHashLanes  = 4
)

// CheckHash returns nil for a password hash made elsewhere that can be verified at a bearable cost; else a
// VALIDATION_ERROR on the field.
func CheckHash(field string, hash personal.Secret) error {
	m := hashPattern.FindStringSubmatch(hash.Reveal())
	if m != nil {
		kib, _ := strconv.Atoi(m[1])
		passes, _ := strconv.Atoi(m[2])
		lanes, _ := strconv.Atoi(m[3])
		if kib >= minHashKiB*lanes && kib <= maxHashKiB && passes >= 1 && passes <= maxHashPasses && lanes >= 1 &&
			lanes <= maxHashLanes {
			return nil
		}
	}
	return fault.InvalidField(field, "지원하지 않는 비밀번호 해시 형식입니다 (argon2id)")
}
