package reconciliation

import (
	"context"
	"errors"
	"time"

	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// judge is what KOS has said, to be held against an entry as it stands.
type judge func(e product.ReconciliationEntry, now time.Time) (d product.Difference, found, verdict bool)

// check is one run under its lease.
type check struct {
	*Service
	run     product.ReconciliationRun
	until   time.Time             // KOS is not asked after it
	next    time.Time             // nor before it
	plans   map[line.Number]judge // of lines that were looked at, where KOS cannot be asked about transactions
	found   []product.Difference  // not stored yet
	checked int                   // not told yet
}

// all carries the run to its end. Whatever errs leaves it to be carried on from where it was stored last.
func (c *check) all(ctx context.Context) error {
	if c.run.Reached == (product.ReconciliationPlace{}) {
		if err := c.open(ctx); err != nil {
			return err
		}
	}
	for {
		page, err := c.Source.Final(ctx, c.run.From, c.run.To, c.run.Reached, pageSize)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := c.entry(ctx, e); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			break
		}
		if err := c.save(ctx); err != nil {
			return err
		}
	}
	c.run.Finished = c.Now()
	err := c.save(ctx)
	if err == nil {
		c.raiseAlert(ctx, c.run)
	}
	return err
}

// open looks for orders that are open too long, whenever they were requested.
func (c *check) open(ctx context.Context) error {
	now := c.Now()
	for after := (id.ID{}); ; {
		page, err := c.Source.Open(ctx, now.Add(-product.OpenBound), after, pageSize)
		if err != nil {
			return err
		}
		for _, o := range page {
			if d, found := o.OpenTooLong(now); found {
				c.found = append(c.found, d)
			}
			after = o.ID
		}
		c.count(len(page))
		if len(page) < pageSize {
			break
		}
	}
	c.run.Reached.At = c.run.From
	return c.save(ctx)
}

// entry compares one order with the deliveries and with KOS.
func (c *check) entry(ctx context.Context, e product.ReconciliationEntry) error {
	c.found = append(c.found, e.JudgeDelivery(c.Now())...)
	asked := c.run.Asked
	if err := c.withKOS(ctx, e); err != nil {
		return err
	}
	c.count(1)
	c.run.Reached = product.ReconciliationPlace{At: e.Order.ProcessedAt, ID: e.Order.ID}
	if c.run.Asked == asked {
		return nil
	}
	return c.save(ctx) // what KOS was asked is not asked again by who carries on
}

func (c *check) withKOS(ctx context.Context, e product.ReconciliationEntry) error {
	if e.Superseded && e.Order.State == product.Completed {
		return nil // whatever KOS says, it is no difference
	}
	said, err := c.ask(ctx, e.Order)
	switch {
	case err != nil:
		return err
	case said == nil:
		c.run.Unasked++
		return nil
	}
	_, found, verdict := said(e, c.Now())
	switch {
	case !verdict:
		c.run.Undecided++
		return nil
	case !found:
		return nil
	}
	// Time has passed since the entry was read: the line may have another plan by rights.
	now, err := c.Source.Entry(ctx, e.Order.ID)
	if isFault(err, fault.ResourceNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if d, found, verdict := said(now, c.Now()); found && verdict {
		c.found = append(c.found, d)
	}
	return nil
}

// ask answers what KOS says of the order, however long it takes to be heard; nil when the run's time is over before.
func (c *check) ask(ctx context.Context, o product.Order) (judge, error) {
	if o.Line.IsZero() {
		return nil, nil
	}
	for {
		if said, known := c.plans[o.Line]; known {
			return said, nil
		}
		if in, err := c.waitForTurn(ctx); !in || err != nil {
			return nil, err
		}
		said, rest := c.askOnce(ctx, o)
		if said != nil {
			return said, nil
		}
		c.next = c.Now().Add(max(rest, time.Minute/time.Duration(c.Limits.PerMinute)))
	}
}

// once asks one question, about the line where this KOS cannot be asked about transactions; nil when it was not put, and how long to rest
// before the next.
func (c *check) askOnce(ctx context.Context, o product.Order) (said judge, rest time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	a := c.KOS.Ask(ctx, ports.Call{Lane: quota.Prefetch, RequestID: o.ID}, o)
	switch a.Kind { //nolint:exhaustive // all others are for the judge
	case product.AnswerNotSent:
		return nil, pauseAfter(a.RetryAfter)
	case product.AnswerNoQuery:
		return c.askPlans(ctx, o.Line)
	default:
		c.run.Asked++
		return func(e product.ReconciliationEntry, now time.Time) (product.Difference, bool, bool) {
			return e.JudgeAnswer(a, now)
		}, 0
	}
}

// lookAt asks for the line's plans, once in a run.
func (c *check) askPlans(ctx context.Context, n line.Number) (said judge, rest time.Duration) {
	customer, err := c.KOS.Customer(ctx, ports.Call{Lane: quota.Prefetch}, n)
	switch {
	case errors.Is(err, ports.ErrNotAsked):
		return nil, pauseAfter(fault.From(err).RetryAfter())
	case isFault(err, fault.LineNotFound):
		said = func(e product.ReconciliationEntry, now time.Time) (product.Difference, bool, bool) {
			d, found := e.JudgeNoLine(now)
			return d, found, true
		}
	case err != nil:
		said = func(product.ReconciliationEntry, time.Time) (product.Difference, bool, bool) {
			return product.Difference{}, false, false
		}
	default:
		said = func(e product.ReconciliationEntry, now time.Time) (product.Difference, bool, bool) {
			return e.JudgePlans(customer, now)
		}
	}
	c.run.Asked++
	c.plans[n] = said
	return said, 0
}

func pauseAfter(after time.Duration) time.Duration { return min(max(after, minPause), maxPause) }

// turn waits until KOS may be asked once more; false when the run's time is over before.
func (c *check) waitForTurn(ctx context.Context) (bool, error) {
	for {
		now := c.Now()
		switch {
		case !now.Before(c.until):
			return false, nil
		case !now.Before(c.next):
			c.next = now.Add(time.Minute / time.Duration(c.Limits.PerMinute))
			return true, nil
		}
		wait := min(c.next.Sub(now), c.until.Sub(now), renewInterval)
		if err := sleep(ctx, wait); err != nil {
			return false, err
		}
		if wait < renewInterval {
			continue
		}
		if err := c.save(ctx); err != nil { // who waits for long is not dead
			return false, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *check) count(orders int) {
	c.run.Checked += orders
	c.checked += orders
}

// save stores how far the run is with what it has found, and then tells of it.
func (c *check) save(ctx context.Context) error {
	run := c.run
	run.Found += len(c.found)
	if err := c.Runs.Save(ctx, run, c.Now().Add(lease), c.found...); err != nil {
		return err
	}
	for _, d := range c.found {
		c.ReportDifference(ctx, d)
	}
	c.CountChecked(c.checked)
	c.run, c.found, c.checked = run, nil, 0
	return nil
}
