package allinone

import "syscall"

// tied makes a child die with us and keeps the terminal's Ctrl-C from reaching it before we stop it in order.
func tied() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
