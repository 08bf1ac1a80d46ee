//go:build !linux

package allinone

import "syscall"

// tied keeps the terminal's Ctrl-C from reaching a child before we stop it in order.
func tied() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
