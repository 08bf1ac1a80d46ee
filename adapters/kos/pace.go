package kos

import (
	"sync"
	"time"
)

// paces knows how long each operation takes. It is safe for concurrent use.
type paces map[Operation]*pace

func newPaces() paces {
	all := paces{}
	for _, op := range used() {
		all[op] = &pace{mean: op.usual()}
	}
	return all
}

// usual is how long KOS takes when it is well (kos.md).
func (o Operation) usual() time.Duration {
	switch o {
	case billInquiry:
		return 500 * time.Millisecond
	case productChange:
		return 2 * time.Second
	case customerGet, productsList, productChangeStatus:
	}
	return 100 * time.Millisecond
}

// whole is the time that product.md gives one call of the operation.
func (o Operation) whole() time.Duration {
	if o == productChange {
		return 5 * time.Second
	}
	return 3 * time.Second
}

// enough is two thirds of the whole time: a KOS that has not answered after that is in trouble, whoever asks. A call that had less, because
// its customer had waited for his turn, and was not answered says nothing about KOS (decision 8 counts what KOS does, not what we do).
func (o Operation) enough() time.Duration { return o.whole() * 2 / 3 }

// pace is how long one operation takes of late: the moving mean and deviation that TCP keeps of its round trips (RFC 6298), with its
// gains, since the question is the same: how long is it sensible to wait for an answer?
type pace struct {
	mu        sync.Mutex
	mean, dev time.Duration
	least     time.Duration // since a call that had too little time was not answered
}

// need is how much time a call should have left when it sets out: nearly all answers come within it. It is never more than enough, so that
// one may always find out whether KOS has become quick again.
func (p *pace) need(op Operation) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(op.enough(), max(p.usually(op), p.least))
}

func (p *pace) usually(op Operation) time.Duration {
	return max(p.mean, op.usual()) + max(4*p.dev, p.mean/4)
}

// took hears of an answer.
func (p *pace) took(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dev += ((p.mean - d).Abs() - p.dev) / 4
	p.mean += (d - p.mean) / 8
	p.least = 0
}

// inVain hears of a call that had so little time that it was not answered in it: the next one gets twice as much.
func (p *pace) inVain(op Operation, given time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.least = min(op.enough(), max(p.least, 2*given))
}
