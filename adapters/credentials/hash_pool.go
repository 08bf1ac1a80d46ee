package credentials

import (
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"phonebill/adapters/internal/child"
)

const (
	// replyTimeout is how long a hash may take before its worker is given up.
	replyTimeout = 10 * time.Second
	// restartInterval is the rest between two tries to start a worker.
	restartInterval = time.Second
	// stopTimeout is how long a worker may take to end by itself.
	stopTimeout = 5 * time.Second
)

// HashPool is a Hasher that hashes in a child process of low priority. While there is no child (it died, or cannot be
// started) it hashes in this process and logs that. It is safe for concurrent use; Close it.
type HashPool struct {
	*Hasher
	command []string
	log     *slog.Logger

	mu      sync.Mutex
	worker  *worker
	started time.Time // of the last try
	closed  bool
}

// NewHashPool starts command, which must call Work, when it is first needed. With an empty command it hashes in this
// process.
func NewHashPool(p HashParams, command []string, log *slog.Logger) *HashPool {
	pool := &HashPool{Hasher: NewHasher(p), command: command, log: log}
	pool.work = pool.run
	return pool
}

// Close ends the worker.
func (p *HashPool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.worker != nil {
		p.worker.end()
	}
}

// run asks the worker, or does it itself.
func (p *HashPool) run(j job) []byte {
	if w := p.current(); w != nil {
		if key, ok := w.ask(j); ok {
			return key
		}
	}
	return j.run()
}

// current returns the running worker, starting one when there is none.
func (p *HashPool) current() *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.worker != nil && p.worker.alive() {
		return p.worker
	}
	if p.closed || len(p.command) == 0 || time.Since(p.started) < restartInterval {
		return nil
	}
	if p.worker != nil {
		p.log.Warn("the hash worker ended and is started again")
	}
	p.started, p.worker = time.Now(), nil
	w, err := startWorker(p.command)
	if err != nil {
		p.log.Error("no hash worker: hashing in this process, at its priority", "error", err.Error())
		return nil
	}
	p.worker = w
	return w
}

// worker is a running child.
type worker struct {
	process *child.Process
	in      io.Closer
	mu      sync.Mutex
	to      *gob.Encoder
	next    uint64
	waiting map[uint64]chan []byte
	gone    chan struct{} // closed when the worker responds no more
}

func startWorker(command []string) (*worker, error) {
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it lives until end
	cmd.Env = []string{}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("hash worker: %w", err)
	}
	out, workerEnd := io.Pipe() // not StdoutPipe, which is closed when the child ends, perhaps during a read
	cmd.Stdout = workerEnd
	process, err := child.Start(cmd, nil, syscall.SIGKILL)
	if err != nil {
		return nil, fmt.Errorf("hash worker: %w", err)
	}
	w := &worker{process: process, in: in, to: gob.NewEncoder(in), waiting: map[uint64]chan []byte{},
		gone: make(chan struct{})}
	go func() {
		<-process.Done()
		_ = workerEnd.Close()
	}()
	go w.listen(out)
	return w, nil
}

func (w *worker) listen(out io.Reader) {
	defer close(w.gone)
	from := gob.NewDecoder(out)
	for {
		var a answer
		if from.Decode(&a) != nil {
			return
		}
		w.mu.Lock()
		to := w.waiting[a.ID]
		delete(w.waiting, a.ID)
		w.mu.Unlock()
		if to != nil {
			to <- a.Key
		}
	}
}

func (w *worker) alive() bool {
	select {
	case <-w.gone:
		return false
	default:
		return true
	}
}

// ask returns false when the worker has ended, or is stuck, which ends it.
func (w *worker) ask(j job) ([]byte, bool) {
	reply := make(chan []byte, 1)
	w.mu.Lock()
	w.next++
	id := w.next
	w.waiting[id] = reply
	err := w.to.Encode(question{id, j})
	w.mu.Unlock()
	if err != nil {
		go w.end()
		return nil, false
	}
	late := time.NewTimer(replyTimeout)
	defer late.Stop()
	select {
	case key := <-reply:
		return key, len(key) == keySize
	case <-w.gone:
	case <-late.C:
		go w.end()
	}
	return nil, false
}

// end closes the worker's input, which ends it, and kills it if it does not care.
func (w *worker) end() {
	_ = w.in.Close()
	select {
	case <-w.process.Done():
	case <-time.After(stopTimeout):
		_ = w.process.Stop(context.Background(), 0)
	}
}
