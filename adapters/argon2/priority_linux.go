package argon2

import (
	"os"
	"strconv"
	"syscall"
)

// niceness of the worker: a busy machine gives it about a tenth of what a request gets.
const niceness = 10

// lowPriority lowers all threads of this process: on Linux each has a priority of its own, and new ones inherit their maker's. It looks
// twice for those that were made meanwhile.
func lowPriority() {
	for range 2 {
		tasks, _ := os.ReadDir("/proc/self/task")
		for _, task := range tasks {
			if id, err := strconv.Atoi(task.Name()); err == nil {
				_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, niceness) // one may always be nicer
			}
		}
	}
}
