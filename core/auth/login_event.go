package auth

import (
	"time"

	"phonebill/core/id"
)

// LoginEvent is one row of the login history; rows are never changed or deleted (ADR 26).
type LoginEvent struct {
	ID      id.ID
	UserID  UserID // as submitted; unknown ids are kept as a keyed hash by the store
	Known   bool
	Type    LoginEventType
	Success bool
	Reason  string // public error code, empty on success
	Client  Client
	At      time.Time
}

// LoginEventType names what happened.
type LoginEventType string

// The event types.
const (
	EventLogin            LoginEventType = "LOGIN"
	EventAutoLogin        LoginEventType = "AUTO_LOGIN"
	EventLogout           LoginEventType = "LOGOUT"
	EventLocked           LoginEventType = "LOCKED"
	EventUnlocked         LoginEventType = "UNLOCKED"
	EventRefreshReused    LoginEventType = "REFRESH_REUSED"
	EventSessionEnded     LoginEventType = "SESSION_ENDED"
	EventReauthentication LoginEventType = "REAUTHENTICATION" // refused ones alone
	EventPasswordChanged  LoginEventType = "PASSWORD_CHANGED"
	EventMFAEnrolled      LoginEventType = "MFA_ENROLLED"
	EventMFARemoved       LoginEventType = "MFA_REMOVED"
	EventMFARecovery      LoginEventType = "MFA_RECOVERY_CODE_USED"
	EventMFAFailed        LoginEventType = "MFA_FAILED"
)
