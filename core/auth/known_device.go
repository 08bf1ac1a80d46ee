package auth

import (
	"time"

	"phonebill/core/personal"
)

// DeviceCookie is what a device is given at its first login, to be known again by. Tag belongs into the cookie's name, so that several
// users of one browser do not evict each other; it is an opaque hex text.
type DeviceCookie struct {
	Tag   string
	Value personal.Secret
}

// DeviceLifetime is how long a device is known after its last login.
const DeviceLifetime = 365 * 24 * time.Hour
