package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/audit"
	"phonebill/core/delivery"
	"phonebill/core/id"
	"phonebill/core/timeline"
)

// callsWithin is how long the log of KOS calls may take: the story is told without it, in time for who asks.
const callsWithin = time.Second

// mostRows is one row more than a story tells of a kind, to see whether there are more.
const mostRows = timeline.MaxPerKind + 1

// callsOf answers the calls that were made for a request, oldest first, and gaps with what of them cannot be told.
func callsOf(ctx context.Context, pool *pgxpool.Pool, request id.ID, gaps []timeline.Gap) ([]audit.Call, []timeline.Gap) {
	ctx, cancel := context.WithTimeout(ctx, callsWithin)
	defer cancel()
	rows, err := kosdb.New(pool).CallsOf(ctx, kosdb.CallsOfParams{RequestID: uuid.UUID(request), Most: mostRows})
	if err != nil {
		return nil, append(gaps, timeline.CallsUnavailable)
	}
	rows, gaps = newest(rows, gaps)
	return each(rows, func(r kosdb.CallsOfRow) audit.Call {
		return audit.Call{
			Operation: r.Operation, RequestID: request, AskedAt: r.AskedAt.UTC(), AnsweredAt: r.AnsweredAt.UTC(),
			Waited: time.Duration(r.WaitedMs) * time.Millisecond, Attempt: int(r.Attempt), Breaker: r.Breaker, Result: r.Result,
			HTTPStatus: int(r.HttpStatus),
		}
	}), gaps
}

// newest turns rows that were read newest first, and tells when there are too many of them.
func newest[R any](rows []R, gaps []timeline.Gap) ([]R, []timeline.Gap) {
	if len(rows) > timeline.MaxPerKind {
		rows = rows[:timeline.MaxPerKind]
		if !slices.Contains(gaps, timeline.Truncated) {
			gaps = append(gaps, timeline.Truncated)
		}
	}
	slices.Reverse(rows)
	return rows, gaps
}

func each[R, N any](rows []R, noun func(R) N) []N {
	out := make([]N, len(rows))
	for i, r := range rows {
		out[i] = noun(r)
	}
	return out
}

// atOnce reads everything as it was at one moment.
func atOnce(ctx context.Context, pool *pgxpool.Pool, read func(pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, read)
}

// deliveriesOf returns the attempts to deliver a request's event, the oldest first.
func deliveriesOf(
	ctx context.Context, tx requestdb.DBTX, event uuid.UUID, gaps []timeline.Gap,
) ([]delivery.AttemptRecord, []timeline.Gap, error) {
	rows, err := requestdb.New(tx).AttemptsOf(ctx, requestdb.AttemptsOfParams{EventID: event, Most: mostRows})
	if err != nil {
		return nil, gaps, err
	}
	rows, gaps = newest(rows, gaps)
	return each(rows, func(r requestdb.AttemptsOfRow) delivery.AttemptRecord {
		return delivery.AttemptRecord{At: r.At.UTC(), State: delivery.State(r.State), Note: r.Note}
	}), gaps, nil
}
