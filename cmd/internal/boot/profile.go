package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// CPUProfile names the variable with a folder for a CPU profile of the whole process, <program>-<pid>.pprof; empty =
// none. It is written when the process ends.
const CPUProfile = "CPU_PROFILE"

// profile begins one; end writes it.
func profile(dir string) (end func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("%s: %w", CPUProfile, err)
	}
	file, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.pprof", filepath.Base(os.Args[0]), os.Getpid())))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", CPUProfile, err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", CPUProfile, err), file.Close())
	}
	return func() error { pprof.StopCPUProfile(); return file.Close() }, nil
}
