package credentials

import (
	"os"
	"strconv"
	"syscall"
)

// nicer is how much nicer than its parent the worker is: a busy machine gives it about a tenth of what a request gets.
const nicer = 10

// lowPriority lowers all threads of this process: on Linux each has a priority of its own, and new ones inherit their
// creator's. It runs twice for those that were made meanwhile.
func lowPriority() {
	const unbiased = 20 // the system call returns 20 - nice
	now, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		return
	}
	for range 2 {
		tasks, _ := os.ReadDir("/proc/self/task")
		for _, task := range tasks {
			if id, err := strconv.Atoi(task.Name()); err == nil {
				_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, unbiased-now+nicer) // one may always be nicer
			}
		}
	}
}
