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

// judge compares KOS's answer with an entry as it is stored now.
type judge func(e product.ReconciliationEntry, now time.Time) (d product.Difference, found, verdict bool)

// check is one run under its lease.
type check struct {
	*Service
	run     product.ReconciliationRun
	until   time.Time             // KOS is not asked after it
	next    time.Time             // nor before it
	plans   map[line.Number]judge // of lines whose plans were read, where KOS cannot be asked about transactions
	found   []product.Difference  // not stored yet
	checked int                   // not reported yet
}

// all carries the run to its end. After an error the run is carried on from where it was stored last.
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

// open finds orders that are open too long, whenever they were requested.
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
	return c.save(ctx) // the next worker does not repeat a question to KOS
}

func (c *check) withKOS(ctx context.Context, e product.ReconciliationEntry) error {
	if e.Superseded && e.Order.State == product.Completed {
		return nil // whatever KOS says, it is no difference
	}
	judgeBy, err := c.ask(ctx, e.Order)
	switch {
	case err != nil:
		return err
	case judgeBy == nil:
		c.run.Unasked++
		return nil
	}
	_, found, verdict := judgeBy(e, c.Now())
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
	if d, found, verdict := judgeBy(now, c.Now()); found && verdict {
		c.found = append(c.found, d)
	}
	return nil
}

// ask returns KOS's answer about the order, however long the quota makes it wait; nil when the run's time is over
// before.
func (c *check) ask(ctx context.Context, o product.Order) (judge, error) {
	if o.Line.IsZero() {
		return nil, nil
	}
	for {
		if judgeBy, known := c.plans[o.Line]; known {
			return judgeBy, nil
		}
		if in, err := c.waitForTurn(ctx); !in || err != nil {
			return nil, err
		}
		judgeBy, pause := c.askOnce(ctx, o)
		if judgeBy != nil {
			return judgeBy, nil
		}
		c.next = c.Now().Add(max(pause, time.Minute/time.Duration(c.Limits.PerMinute)))
	}
}

// askOnce asks one question, about the line where this KOS cannot be asked about transactions; nil and the pause before
// the next one when no call was made.
func (c *check) askOnce(ctx context.Context, o product.Order) (judgeBy judge, pause time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	a := c.KOS.AskStatus(ctx, ports.Call{Lane: quota.Prefetch, RequestID: o.ID}, o)
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

// askPlans asks for the line's plans, once in a run.
func (c *check) askPlans(ctx context.Context, n line.Number) (judgeBy judge, pause time.Duration) {
	customer, err := c.KOS.Customer(ctx, ports.Call{Lane: quota.Prefetch}, n)
	switch {
	case errors.Is(err, ports.ErrNotAsked):
		return nil, pauseAfter(fault.From(err).RetryAfter())
	case isFault(err, fault.LineNotFound):
		judgeBy = func(e product.ReconciliationEntry, now time.Time) (product.Difference, bool, bool) {
			d, found := e.JudgeNoLine(now)
			return d, found, true
		}
	case err != nil:
		judgeBy = func(product.ReconciliationEntry, time.Time) (product.Difference, bool, bool) {
			return product.Difference{}, false, false
		}
	default:
		judgeBy = func(e product.ReconciliationEntry, now time.Time) (product.Difference, bool, bool) {
			return e.JudgePlans(customer, now)
		}
	}
	c.run.Asked++
	c.plans[n] = judgeBy
	return judgeBy, 0
}

func pauseAfter(after time.Duration) time.Duration { return min(max(after, minPause), maxPause) }

// waitForTurn waits until KOS may be asked once more; false when the run's time is over before.
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
		if err := c.save(ctx); err != nil { // a long wait must not lose the lease
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

// save stores the run's progress with its new differences, and then reports them.
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
