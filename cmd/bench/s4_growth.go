package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// flat is how much a cost may grow and still count as flat: two runs of the same differ by so much on a small machine.
const flat = 1.25

// growthScenario is the rest of S4 (memory is measured under S3): what a request costs the services with 100 users and
// with 1,000, at one rate, and what a page of history costs with 10,000 rows in the table and with many more.
func growthScenario(ctx context.Context, o options, r *report) error {
	t, err := o.datasets.get(ctx, o.progress)
	if err != nil {
		return err
	}
	s, err := startSplit(ctx, t.dir)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := t.warm(ctx, s); err != nil {
		return err
	}
	return errors.Join(usersCost(ctx, o, r, t, s), rowsCost(ctx, o, r, t, s))
}

// steadyRate is how many requests a second the users of S4 send together.
const steadyRate = 250

func usersCost(ctx context.Context, o options, r *report, t *dataset, s *running) error {
	reads := t.requests(s.addr())
	next := func(user, _ int) namedRequest { return pick(reads[user]) }
	think := func(users int) time.Duration { return time.Duration(users) * time.Second / steadyRate }
	crowd(ctx, customerCount, o.duration/2, think(customerCount), next) // warm up
	costs := map[int]time.Duration{}
	for _, users := range []int{customerCount / 10, customerCount} {
		o.progress.step(fmt.Sprintf("CPU per request with %d users", users))
		before, err := cpuOf(s.pid)
		if err != nil {
			return err
		}
		a := crowd(ctx, users, 2*o.duration, think(users), next)
		after, err := cpuOf(s.pid)
		if err != nil {
			return err
		}
		reads := a.result("read")
		if reads.Requests == 0 {
			return errors.New("bench: no request was answered")
		}
		costs[users] = (after - before) / time.Duration(reads.Requests)
		r.Rows = append(r.Rows, row{Scenario: "S4", Subject: fmt.Sprintf("%d users, the same rate", users), Open: reads})
	}
	ratio := float64(costs[customerCount]) / float64(costs[customerCount/10])
	r.Bars = append(r.Bars, bar{"S4 CPU per request, 1,000 users / 100", "flat", ratio, ratio <= flat})
	r.Notes = append(r.Notes, fmt.Sprintf("S4: CPU of all services per request: %s with 100 users, %s with 1,000, at %d/s",
		costs[customerCount/10], costs[customerCount], steadyRate))
	return nil
}

// fewRows is how many rows of history there are at first: ten of each customer. Further rows are of other customers.
const fewRows = 10 * customerCount

func rowsCost(ctx context.Context, o options, r *report, t *dataset, s *running) error {
	db, err := pgx.Connect(ctx, s.Databases["bill"])
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = db.Close(ctx) }()
	o.progress.step(fmt.Sprintf("making %d rows of history", fewRows))
	if _, err := db.Exec(ctx, `TRUNCATE inquiries`); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if err := parallel(
		fewRows,
		16,
		func(i int) error { return once(ctx, t.customers[i%customerCount].reads(s.addr())[0]) },
	); err != nil {
		return err
	}
	few, err := lookupCost(ctx, o, r, t, s, db)
	if err != nil {
		return err
	}
	o.progress.step(fmt.Sprintf("adding rows of history up to %d", o.rows))
	begun := time.Now()
	if _, err := db.Exec(ctx, othersRows, o.rows-fewRows, fewRows/customerCount); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	r.Notes = append(
		r.Notes,
		fmt.Sprintf("S4: %d rows of other customers added in %s", o.rows-fewRows, time.Since(begun).Round(time.Second)),
	)
	many, err := lookupCost(ctx, o, r, t, s, db)
	if err != nil {
		return err
	}
	slower, blocks := float64(many.took)/float64(few.took), many.blocks/few.blocks
	r.Bars = append(
		r.Bars,
		bar{fmt.Sprintf("S4 time per lookup, %d rows / %d", o.rows, fewRows), "flat", slower, slower <= flat},
		bar{
			fmt.Sprintf("S4 pages touched per lookup, %d rows / %d", o.rows, fewRows),
			"flat (+ a level of the index)",
			blocks,
			blocks <= flat,
		},
	)
	return nil
}

// othersRows adds history of other customers over the year before, all delivered.
const othersRows = `
INSERT INTO inquiries (id, user_id, customer_id, line_sealed, line_index, month, status, source, requested_at,
    processed_at, delivery_state)
SELECT gen_random_uuid(), 'other-' || n / $2::int, 'CUST-' || n / $2::int, decode(md5(n::text), 'hex'),
    decode(md5((n / $2::int)::text), 'hex'), '2026-01', 'COMPLETED', 'CACHE',
    now() - n % 31536000 * interval '1 second', now(), 'DELIVERED'
FROM generate_series(1, $1::int) AS n`

// lookup is the cost of a page of history: time at four connections, and pages of the table and its indexes.
type lookup struct {
	took   time.Duration
	blocks float64
}

func lookupCost(ctx context.Context, o options, r *report, t *dataset, s *running, db *pgx.Conn) (l lookup, err error) {
	if _, err := db.Exec(ctx, `VACUUM (ANALYZE) inquiries`); err != nil { // as autovacuum does in time
		return l, fmt.Errorf("bench: %w", err)
	}
	var rows int
	if err := db.QueryRow(ctx, `SELECT count(*) FROM inquiries`).Scan(&rows); err != nil {
		return l, fmt.Errorf("bench: %w", err)
	}
	asks := make([]request, len(t.customers))
	for i, p := range t.customers {
		asks[i] = newRequest(s.addr(), "GET", "/api/v1/bills/history", p.token, "")
	}
	next := func(int) request { return asks[rand.N(len(asks))] } //nolint:gosec // any of them
	const connections = 4
	closed(ctx, connections, time.Second, next)
	before, err := touched(ctx, db)
	if err != nil {
		return l, err
	}
	load := closed(ctx, connections, o.duration, next)
	after, err := touched(ctx, db)
	switch {
	case err != nil:
		return l, err
	case load.Requests == 0:
		return l, fmt.Errorf("bench: %d of %d pages of history failed: %s", load.Errors, load.Requests, load.FirstErr)
	}
	r.Rows = append(r.Rows, row{Scenario: "S4", Subject: fmt.Sprintf("pages of history, %d rows", rows), Closed: load})
	l = lookup{load.P50, float64(after-before) / float64(load.Requests)}
	r.Notes = append(
		r.Notes,
		fmt.Sprintf("S4: %d rows: %s per page of history (median), %.1f pages of the database touched",
			rows, l.took, l.blocks),
	)
	return l, nil
}

// statsDelay is how long PostgreSQL may delay its statistics.
const statsDelay = 1500 * time.Millisecond

// touched returns how many pages of the table and its indexes were touched so far, in memory or not.
func touched(ctx context.Context, db *pgx.Conn) (blocks int64, err error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(statsDelay):
	}
	err = db.QueryRow(ctx, `SELECT coalesce(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit, 0)
		FROM pg_statio_user_tables WHERE relname = 'inquiries'`).Scan(&blocks)
	if err != nil {
		err = fmt.Errorf("bench: %w", err)
	}
	return blocks, err
}
