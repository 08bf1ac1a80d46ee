package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/requestdb"
	"phonebill/core/auth"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/request"
	"phonebill/core/sealing"
	"phonebill/core/timeline"
	"phonebill/migrations"
	"phonebill/ports"
)

// RequestStore implements ports.RequestStore on the table of migrations/request, for a product that has no table of its
// own.
type RequestStore struct {
	pool   *pgxpool.Pool
	rows   requestRows
	keys   *IdempotencyKeys
	alerts ports.Alerts
}

var _ ports.RequestStore = (*RequestStore)(nil)

// NewRequestStore works on the database of a product. alerts are raised for rows that cannot be opened.
func NewRequestStore(pool *pgxpool.Pool, vault ports.Vault, alerts ports.Alerts) *RequestStore {
	return &RequestStore{pool, requestRows{vault}, NewIdempotencyKeys(pool, migrations.Request, vault), alerts}
}

// Add stores a new request, and its key in the same transaction.
func (s *RequestStore) Add(ctx context.Context, r request.Request, u request.KeyUse) error {
	row, err := s.rows.added(r)
	if err != nil {
		return translate("seal request", err)
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if !u.Key.IsZero() {
			claimed, err := s.keys.claim(ctx, tx, u, u.At.Add(-request.KeyWindow), id.ID{})
			if err != nil {
				return err
			}
			if !claimed {
				return ports.ErrKeyUsed
			}
		}
		return requestdb.New(tx).AddRequest(ctx, row)
	})
	if errors.Is(err, ports.ErrKeyUsed) {
		return ports.ErrKeyUsed
	}
	return translate("add request", err)
}

// Used returns the use of the key.
func (s *RequestStore) Used(ctx context.Context, u request.KeyUse, since time.Time) (request.KeyUse, error) {
	return s.keys.used(ctx, u, since, fault.ResourceNotFound)
}

// Get returns the request, or NOT_FOUND.
func (s *RequestStore) Get(ctx context.Context, r id.ID) (request.Request, error) {
	row, err := requestdb.New(s.pool).Request(ctx, uuid.UUID(r))
	if err != nil {
		return request.Request{}, translate("read request", err, fault.ResourceNotFound)
	}
	found, err := s.rows.noun(row)
	return found, translate("open request", err)
}

// Save stores progress of a request that is not final under the fence.
func (s *RequestStore) Save(ctx context.Context, r request.Request) error {
	result, err := sealOptional(s.rows.vault, requestPlace("result", uuid.UUID(r.ID)), r.Result)
	if err != nil {
		return translate("seal request", err)
	}
	state, next := due(r.Status.Final(), r.ProcessedAt)
	rows, err := requestdb.New(s.pool).SaveRequest(ctx, requestdb.SaveRequestParams{
		ID: uuid.UUID(r.ID), Fence: r.Fence, State: string(r.Status), ResultSealed: result, Code: string(r.Code),
		Note: r.Note, Attempts: int64(r.Attempts), ProcessedAt: optional(r.ProcessedAt),
		NextAttemptAt: optional(r.NextAttemptAt), DeliveryState: string(state), DeliveryNextAt: next,
	})
	return translate("save request", changed(rows, err, fault.StateConflict))
}

// Claim leases due requests. Rows that another claim is taking are skipped, and rows that cannot be opened are put off.
func (s *RequestStore) Claim(
	ctx context.Context, now time.Time, lease time.Duration, n int,
) ([]request.Request, error) {
	q := requestdb.New(s.pool)
	rows, err := q.ClaimRequests(ctx, requestdb.ClaimRequestsParams{LeaseUntil: now.Add(lease), Now: now, N: int64(n)})
	if err != nil {
		return nil, translate("claim requests", err)
	}
	return queued(ctx, s.alerts, rows, s.rows.noun, func(r requestdb.Request) uuid.UUID { return r.ID },
		func(ctx context.Context, ids []uuid.UUID) error {
			return q.PutOffRequests(ctx, requestdb.PutOffRequestsParams{Until: now.Add(unreadableFor), Ids: ids})
		}), nil
}

// Parked returns one page of the parked requests, the oldest first.
func (s *RequestStore) Parked(ctx context.Context, page, size int) ([]request.Request, int, error) {
	q := requestdb.New(s.pool)
	total, err := q.CountParkedRequests(ctx)
	if err != nil {
		return nil, 0, translate("count parked requests", err)
	}
	rows, err := q.ParkedRequests(ctx, requestdb.ParkedRequestsParams{Skip: skip(page, size), Size: int64(size)})
	if err != nil {
		return nil, 0, translate("read parked requests", err)
	}
	return each(rows, s.rows.shown), int(total), nil
}

// History returns one page of a user's requests, the newest first.
func (s *RequestStore) History(ctx context.Context, f request.HistoryFilter) ([]request.Request, int, error) {
	all := requestdb.CountHistoryParams{UserID: string(f.UserID), Subjects: [][]byte{s.rows.index(f.Subject)}}
	total, from, err := historyPage(ctx, s.pool, all, f.Page, f.Size)
	if err != nil || from == nil {
		return nil, total, err
	}
	rows, err := requestdb.New(s.pool).RequestHistory(ctx, requestdb.RequestHistoryParams{
		UserID: all.UserID, Subjects: all.Subjects, FromAt: from.at, FromID: from.id, Size: int64(f.Size),
	})
	if err != nil {
		return nil, 0, translate("read requests", err)
	}
	return each(rows, s.rows.shown), total, nil
}

// Outbox returns the outbox of the same rows. kind is that of the product's events, mask returns a subject as staff see
// it.
func (s *RequestStore) Outbox(kind delivery.Kind, mask func(request.Subject) string) *Outbox[ports.RequestResult] {
	return &Outbox[ports.RequestResult]{
		pool: s.pool, kind: kind,
		masked: func(ctx context.Context, events []uuid.UUID) (map[uuid.UUID]string, error) {
			found, err := requestdb.New(s.pool).RequestsByID(ctx, events)
			all := make(map[uuid.UUID]string, len(found))
			for _, row := range found {
				if r, err := s.rows.noun(row); err == nil {
					all[row.ID] = mask(r.Subject)
				}
			}
			return all, err
		},
		bodies: func(ctx context.Context, tx pgx.Tx, events []uuid.UUID) (map[uuid.UUID]body[ports.RequestResult], error) {
			found, err := requestdb.New(tx).RequestsByID(ctx, events)
			all := make(map[uuid.UUID]body[ports.RequestResult], len(found))
			for _, row := range found {
				r, err := s.rows.noun(row)
				if err != nil {
					all[row.ID] = body[ports.RequestResult]{verdict: unreadable("request")}
					continue
				}
				all[row.ID] = body[ports.RequestResult]{body: ports.RequestResult{Request: r}}
			}
			return all, err
		},
	}
}

// ByRequest returns the timeline of a request; it makes Requests a ports.Timelines.
func (s *RequestStore) ByRequest(ctx context.Context, r id.ID) (timeline.Timeline, error) {
	var t timeline.Plain
	err := atOnce(ctx, s.pool, func(tx pgx.Tx) error {
		row, err := requestdb.New(tx).Request(ctx, uuid.UUID(r))
		if err != nil {
			return err
		}
		if t.Row, err = s.rows.noun(row); err != nil {
			return err
		}
		t.Deliveries.ReplayedAt = moment(row.DeliveryReplayedAt)
		t.Deliveries.Attempts, t.Gaps, err = deliveriesOf(ctx, tx, row.ID, nil)
		return err
	})
	if err != nil {
		return timeline.Timeline{}, translate("read the timeline of a request", err, fault.ResourceNotFound)
	}
	return t.Timeline(), nil
}

// requestRows maps rows of the table requests.
type requestRows struct{ vault ports.Vault }

// requestPlace is where a value of the request is stored.
func requestPlace(column string, request uuid.UUID) sealing.Place {
	return sealing.At("request.requests."+column, key(request))
}

func (r requestRows) index(s request.Subject) []byte {
	return r.vault.Index("request.subject", string(s))
}

func (r requestRows) added(q request.Request) (requestdb.AddRequestParams, error) {
	of := uuid.UUID(q.ID)
	subject, err1 := r.vault.Seal(requestPlace("subject", of), []byte(q.Subject))
	payload, err2 := r.vault.Seal(requestPlace("payload", of), q.Payload)
	return requestdb.AddRequestParams{
		ID: of, Kind: string(q.Kind), UserID: string(q.UserID), SubjectSealed: subject, SubjectIndex: r.index(q.Subject),
		PayloadSealed: payload, State: string(q.Status), RequestedAt: q.RequestedAt, NextAttemptAt: optional(q.NextAttemptAt),
		Attempts: int64(q.Attempts), TraceID: q.TraceID,
	}, errors.Join(err1, err2)
}

func (r requestRows) noun(row requestdb.Request) (request.Request, error) {
	subject, err1 := r.vault.Open(requestPlace("subject", row.ID), row.SubjectSealed)
	payload, err2 := r.vault.Open(requestPlace("payload", row.ID), row.PayloadSealed)
	result, err3 := openOptional(r.vault, requestPlace("result", row.ID), row.ResultSealed)
	return request.Request{
		ID: id.ID(row.ID), Kind: request.Kind(row.Kind), UserID: auth.UserID(row.UserID), Subject: request.Subject(subject),
		Payload: payload, Result: result, Status: request.Status(row.State), Code: fault.Code(row.Code), Note: row.Note,
		RequestedAt: row.RequestedAt.UTC(), ProcessedAt: moment(row.ProcessedAt), NextAttemptAt: moment(row.NextAttemptAt),
		Attempts: int(row.Attempts), Fence: row.Fence, TraceID: row.TraceID,
	}, errors.Join(err1, err2, err3)
}

// shown maps a row of a page, without the parts that cannot be opened.
func (r requestRows) shown(row requestdb.Request) request.Request {
	q, _ := r.noun(row)
	return q
}
