package credentials

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// WorkerArgument is the one argument by which a program becomes a hash worker.
const WorkerArgument = "hash-worker"

// question and answer are the frames between a HashPool and its worker. They go through a pipe that no other process
// can read.
type (
	question struct {
		ID  uint64
		Job job
	}
	answer struct {
		ID  uint64
		Key []byte
	}
)

// BeWorker gives this process a low priority, so that hashes never delay a request that needs none (bar S6): a thread
// of low priority would not do, since a hash that is not scheduled would hold one of the runtime's processors.
func BeWorker() {
	lowPriority()
	runtime.GOMAXPROCS(slots())
}

// Work returns the worker's side: it computes the jobs that arrive on in until in ends, which it does when its parent
// ends.
func Work(in io.Reader, out io.Writer) error {
	var writing sync.Mutex
	to, from := gob.NewEncoder(out), gob.NewDecoder(in)
	for {
		var q question
		err := from.Decode(&q)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hash worker: %w", err)
		}
		go func() { // the parent bounds how many there are
			key := q.Job.run()
			writing.Lock()
			defer writing.Unlock()
			_ = to.Encode(answer{q.ID, key}) // a parent that has ended ends this process by the end of in
			// Else the next hash takes another block in addition to this one's: 19 MiB each, three before the runtime
			// collects.
			runtime.GC()
		}()
	}
}
