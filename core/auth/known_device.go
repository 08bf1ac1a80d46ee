package auth

import (
	"time"

	"phonebill/core/personal"
)

// DeviceCookie is given to a device at its first login, so that it is known later. Tag belongs into the cookie's name,
// so that several users of one browser do not evict each other; it is an opaque hex text.
type DeviceCookie struct {
	Tag   string
	Value personal.Secret
}

// DeviceLifetime is how long a device is known after its last login.
const DeviceLifetime = 365 * 24 * time.Hour
