//go:build !linux

package child

import "syscall"

// Without a death signal a SIGKILL of this process leaves the child behind; the next start finds and stops it
// (adapters/devstack).
func attributes(cred *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: cred}
}
