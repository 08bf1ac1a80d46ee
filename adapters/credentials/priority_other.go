//go:build !linux

package argon2

// lowPriority does nothing where threads have no priority of their own.
func lowPriority() {}
