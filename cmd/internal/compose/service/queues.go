package service

import (
	"context"
	"time"
)

// Queue is how a queue is worked on: by several loops, each of which goes on as soon as its own work is done, so that a
// slow line holds up one of them and not the rest of the queue. There are more loops than calls to KOS at once
// (kos.DefaultBulkhead); the rate limiter sees to it that there are no more calls. As many slow lines as there are
// loops, all at once, do hold up the others until the first is given up, 10 s later.
type Queue struct {
	Name  string
	Loops int
	Each  int // entries that a loop takes at a time
}

// Inquiries is the queue of bill inquiries.
func Inquiries() Queue { return Queue{Name: "inquiries", Loops: 8, Each: 1} }

// Orders is the queue of change orders. They are taken in twos: new ones rest when KOS can be asked about none of
// several (change.Service.Step), which one alone cannot show. So a slow order holds up one neighbour at most, and only
// in its own half of the queue, begun or new. The rest is that of all loops.
func Orders() Queue { return Queue{Name: "orders", Loops: 4, Each: 2} }

// reliefInterval is how often the loops beside the first look when nothing was due: they are needed when that one is
// held up.
const reliefInterval = time.Second

// WorkOn adds the workers of a queue. take works on up to n entries and returns how many there were.
func (b *Builder) WorkOn(q Queue, take func(ctx context.Context, n int) (int, error)) {
	step := func(ctx context.Context) (int, error) { return take(ctx, q.Each) }
	b.Worker(q.Name, IdleInterval, step)
	b.Workers(q.Loops-1, q.Name, reliefInterval, step)
}
