package compose

import (
	"context"
	"time"
)

// Who works on a queue: several loops, each of which goes on as soon as its own work is done, so that a slow line holds up one of them and
// not the rest of the queue. There are more than KOS is asked at once (kos.DefaultBulkhead); the rate limiter sees to it that it is not asked
// more. As many slow lines as there are loops, all at once, do hold up the others until the first is given up, 10 s later.
//
// Orders are taken in twos: new ones rest when KOS can be asked about none of several (change.Service.Step), which one alone cannot tell.
// So a slow order holds up one neighbour at most, and only in its own half of the queue, begun or new. The rest is that of all loops.
const (
	inquiryLoops  = 8
	inquiriesEach = 1
	orderLoops    = 4
	ordersEach    = 2
)

// relief is how often the loops beside the first look when nothing was due: they are needed when that one is held up.
const relief = time.Second

// take works on up to n entries of a queue and answers how many there were.
type take func(ctx context.Context, n int) (int, error)

func (p *parts) workOnInquiries(step take) { p.queue("inquiries", inquiryLoops, inquiriesEach, step) }

func (p *parts) workOnOrders(step take) { p.queue("orders", orderLoops, ordersEach, step) }

func (p *parts) queue(name string, loops, each int, step take) {
	work := func(ctx context.Context) (int, error) { return step(ctx, each) }
	p.worker(name, idle, work)
	p.workers(loops-1, name, relief, work)
}
