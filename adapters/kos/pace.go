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
		all[op] = &pace{most: op.usual()}
	}
	return all
}

// usual is how long KOS takes when it is well (R-KOS-DELAYS).
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

// whole is the time that S-KOS-TIMEOUT gives one call of the operation.
func (o Operation) whole() time.Duration {
	if o == productChange {
		return 5 * time.Second
	}
	return 3 * time.Second
}

// enough is two thirds of the whole time: a KOS that has not answered after that is in trouble, whoever asks. A call that had less, because
// its customer had waited for his turn, and was not answered says nothing about KOS (ADR 20 counts what KOS does, not what we do).
func (o Operation) enough() time.Duration { return o.whole() * 2 / 3 }

// pace is how long one operation takes of late: about nine of ten answers have come within most. A slow answer moves it up by 9 %, a
// quicker one down by 1 %, so that one bad line does not make all others wait longer.
type pace struct {
	mu    sync.Mutex
	most  time.Duration
	least time.Duration // to give, since a call that had too little time was not answered; 0 = all were
}

// need is how much time a call should have left when it sets out: a quarter more than most take. It is never more than enough, so that one
// may always find out whether KOS has become quick again.
func (p *pace) need(op Operation) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(op.enough(), max(spare(p.most), p.least))
}

func spare(d time.Duration) time.Duration { return d + d/4 }

// took hears of an answer.
func (p *pace) took(op Operation, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d > p.most {
		p.most += p.most * 9 / 100
	} else {
		p.most = max(op.usual(), p.most-p.most/100)
	}
	p.least = min(p.least, spare(d))
}

// inVain hears of a call that had so little time that it was not answered in it: the next ones get enough, until an answer tells how much
// is needed.
func (p *pace) inVain(op Operation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.least = op.enough()
}
