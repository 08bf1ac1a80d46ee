//go:build !linux

package credentials

// lowPriority does nothing where threads have no priority of their own.
func lowPriority() {}
