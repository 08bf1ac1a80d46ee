package postgres

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Outbox implements ports.Outbox[B] and ports.Deliveries for the requests of one product (sql/request). A subject is
// leased by the time of its first event, so that the previous release, which leases single events, may run beside.
type Outbox[B any] struct {
	pool *pgxpool.Pool
	kind delivery.Kind
	// masked reads the subjects of events as staff see them, empty where one cannot be opened.
	masked func(ctx context.Context, events []uuid.UUID) (map[uuid.UUID]string, error)
	// bodies reads the bodies of events in the transaction of the claim.
	bodies func(ctx context.Context, tx pgx.Tx, events []uuid.UUID) (map[uuid.UUID]body[B], error)
	rounds rounds
}

// body is the body of an event. The verdict, if there is one, takes the place of an attempt to deliver it: the event
// cannot be delivered because a stored part is missing or cannot be opened.
type body[B any] struct {
	body    B
	verdict *delivery.Attempt
}

// Claim leases subjects with events to deliver.
func (o *Outbox[B]) Claim(
	ctx context.Context, now time.Time, lease time.Duration, subjects, each int,
) (claimed [][]delivery.Item[B], err error) {
	err = pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		rows, err := o.claim(ctx, requestdb.New(tx), now, now.Add(lease), subjects, each)
		if err != nil || len(rows) == 0 {
			return err
		}
		claimed, err = o.items(ctx, tx, rows)
		return err
	})
	return claimed, translate("claim events", err)
}

func (o *Outbox[B]) claim(
	ctx context.Context, q *requestdb.Queries, now, until time.Time, subjects, each int,
) ([]requestdb.ClaimDeliveriesRow, error) {
	if err := q.LockDeliveries(ctx); err != nil {
		return nil, err
	}
	due, err := o.rounds.due(subjects, func(after []byte, most int64) ([]requestdb.PendingSubjectsRow, error) {
		return q.PendingSubjects(ctx, requestdb.PendingSubjectsParams{Now: now, After: after, Most: most})
	})
	if err != nil || len(due) == 0 {
		return nil, err
	}
	return q.ClaimDeliveries(ctx, requestdb.ClaimDeliveriesParams{LeaseUntil: until, Subjects: due, Each: int64(each)})
}

// items groups claimed rows by subject, each in the order of its numbers.
func (o *Outbox[B]) items(
	ctx context.Context, tx pgx.Tx, rows []requestdb.ClaimDeliveriesRow,
) (all [][]delivery.Item[B], err error) {
	bodies, err := o.bodies(ctx, tx, each(rows, func(r requestdb.ClaimDeliveriesRow) uuid.UUID { return r.ID }))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(rows, func(a, b requestdb.ClaimDeliveriesRow) int {
		if c := bytes.Compare(a.SubjectIndex, b.SubjectIndex); c != 0 {
			return c
		}
		return int(*a.DeliverySequence - *b.DeliverySequence)
	})
	for i, r := range rows {
		if i == 0 || !bytes.Equal(r.SubjectIndex, rows[i-1].SubjectIndex) {
			all = append(all, nil)
		}
		content, ok := bodies[r.ID]
		if !ok {
			content.verdict = unreadable("request")
		}
		all[len(all)-1] = append(all[len(all)-1], delivery.Item[B]{
			ID: id.ID(r.ID), Subject: string(r.SubjectIndex), Sequence: *r.DeliverySequence, Attempts: int(r.DeliveryAttempts),
			Fence: r.DeliveryFence, CreatedAt: began(r.ProcessedAt, r.DeliveryReplayedAt), Body: content.body,
			Unreadable: content.verdict,
		})
	}
	return all, nil
}

// Settle records the outcome of claimed events in one statement.
func (o *Outbox[B]) Settle(ctx context.Context, now time.Time, items ...delivery.AttemptResult) error {
	p := requestdb.SettleDeliveriesParams{At: now}
	for _, i := range items {
		p.Ids = append(p.Ids, uuid.UUID(i.ID))
		p.Fences = append(p.Fences, i.Fence)
		p.States = append(p.States, string(i.State))
		p.NextAts = append(p.NextAts, i.Next)
		p.Made = append(p.Made, i.Attempt.Made())
		p.Notes = append(p.Notes, i.Attempt.Note)
	}
	settled, err := requestdb.New(o.pool).SettleDeliveries(ctx, p)
	if err == nil && settled < int64(len(items)) {
		err = fault.New(fault.StateConflict)
	}
	return translate("settle events", err)
}

// List returns one page of the events and their number, which is counted up to delivery.MaxCounted.
func (o *Outbox[B]) List(ctx context.Context, f delivery.Filter) ([]delivery.Listed, int, error) {
	q, since := requestdb.New(o.pool), uuid.UUID(id.At(f.Since))
	total, err := q.CountDeliveries(ctx, requestdb.CountDeliveriesParams{
		State: string(f.State), Since: since, Most: delivery.MaxCounted,
	})
	if err != nil {
		return nil, 0, translate("count deliveries", err)
	}
	rows, err := q.Deliveries(ctx, requestdb.DeliveriesParams{
		State: string(f.State), Since: since, Skip: skip(f.Page, f.Size), Size: int64(f.Size),
	})
	if err != nil {
		return nil, 0, translate("read deliveries", err)
	}
	page := each(rows, o.listed)
	ids := each(page, func(t delivery.Listed) uuid.UUID { return uuid.UUID(t.ID) })
	subjects, err := o.masked(ctx, ids)
	if err != nil {
		return nil, 0, translate("read deliveries", err)
	}
	attempts, err := q.LastAttempts(ctx, requestdb.LastAttemptsParams{Events: ids, Most: delivery.MaxAttemptsListed})
	if err != nil {
		return nil, 0, translate("read attempts", err)
	}
	for i, t := range page {
		page[i].Line, page[i].Last = subjects[ids[i]], lastOf(t.ID, attempts)
	}
	return page, int(total), nil
}

func (o *Outbox[B]) listed(r requestdb.DeliveriesRow) delivery.Listed {
	return delivery.Listed{
		ID: id.ID(r.ID), Kind: o.kind, State: delivery.State(r.DeliveryState), Attempts: int(r.DeliveryAttempts),
		FinalAt: moment(r.ProcessedAt), NextAt: moment(r.DeliveryNextAt), DeliveredAt: moment(r.DeliveredAt),
		ReplayedAt: moment(r.DeliveryReplayedAt), Sequence: orZero(r.DeliverySequence),
	}
}

func lastOf(event id.ID, attempts []requestdb.LastAttemptsRow) (last []delivery.AttemptRecord) {
	for _, a := range attempts {
		if id.ID(a.EventID) == event {
			last = append(last, delivery.AttemptRecord{At: a.At.UTC(), State: delivery.State(a.State), Note: a.Note})
		}
	}
	slices.SortStableFunc(last, func(a, b delivery.AttemptRecord) int { return b.At.Compare(a.At) })
	return last
}

// Replay makes a delivered or parked event pending again.
func (o *Outbox[B]) Replay(ctx context.Context, event id.ID, now time.Time) error {
	err := pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		q := requestdb.New(tx)
		if err := q.LockDeliveries(ctx); err != nil {
			return err
		}
		if _, err := q.DeliveryOf(ctx, uuid.UUID(event)); err != nil {
			return err
		}
		rows, err := q.ReplayDelivery(ctx, requestdb.ReplayDeliveryParams{ID: uuid.UUID(event), Now: now})
		return changed(rows, err, fault.StateConflict)
	})
	return translate("replay an event", err, fault.ResourceNotFound)
}

var (
	_ ports.Outbox[ports.BillResult] = (*Outbox[ports.BillResult])(nil)
	_ ports.Deliveries               = (*Outbox[ports.BillResult])(nil)
)

// A claim reads so many subjects at a time, so many times at most; the next claim continues where it stopped.
const (
	subjectsPerRead = 256
	readsPerClaim   = 8
)

// rounds remembers which subject was read last, so that claims go round all subjects with pending events. It is safe
// for concurrent use.
type rounds struct {
	mu    sync.Mutex
	after []byte // index of the subject that was read last
}

// due returns up to most subjects whose first event is due. read returns subjects in order, from the one after the
// given.
func (r *rounds) due(
	most int, read func(after []byte, most int64) ([]requestdb.PendingSubjectsRow, error),
) (due [][]byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin, wrapped := r.after, len(r.after) == 0
	for range readsPerClaim {
		heads, err := read(append([]byte{}, r.after...), subjectsPerRead)
		if err != nil {
			return nil, err
		}
		for _, h := range heads {
			if wrapped && len(begin) > 0 && bytes.Compare(h.SubjectIndex, begin) > 0 {
				return due, nil // once round
			}
			if r.after = h.SubjectIndex; h.Due {
				due = append(due, h.SubjectIndex)
			}
			if len(due) == most {
				return due, nil
			}
		}
		if len(heads) < subjectsPerRead {
			r.after = nil
			if wrapped {
				return due, nil
			}
			wrapped = true
		}
	}
	return due, nil
}

// unreadable is the verdict on an event of which a stored part cannot be opened: it is parked for a person.
func unreadable(part string) *delivery.Attempt {
	return &delivery.Attempt{Outcome: delivery.Rejected, Note: "the stored " + part + " cannot be opened"}
}

// began returns when the time limit of an event began: when its request became final, or when staff replayed it.
func began(final, replayed *time.Time) time.Time {
	if replayed != nil {
		return replayed.UTC()
	}
	return moment(final)
}
