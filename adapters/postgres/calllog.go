package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/audit"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// CallLog implements ports.CallLog. Request and answer hold personal data: they are sealed.
type CallLog struct {
	pool  *pgxpool.Pool
	vault ports.Vault
	lines lines
}

var _ ports.CallLog = (*CallLog)(nil)

// callPlaces are where the request and the response of a call are stored. Calls are found by their id, line and
// request.
func callPlaces(row kosdb.AppendCallParams) (request, answer sealing.Place) {
	keys := []string{key(row.ID), row.Operation, string(row.LineIndex), ""}
	if row.RequestID != nil {
		keys[3] = key(*row.RequestID)
	}
	return sealing.At("kos.kos_calls.request", keys...), sealing.At("kos.kos_calls.answer", keys...)
}

// NewCallLog works on the kos database.
func NewCallLog(pool *pgxpool.Pool, vault ports.Vault) *CallLog {
	return &CallLog{pool, vault, lines{vault: vault}}
}

// Append stores one call.
func (l *CallLog) Append(ctx context.Context, c audit.Call) error {
	row := kosdb.AppendCallParams{
		ID: uuid.UUID(c.ID), Operation: c.Operation, RequestID: optionalID(c.RequestID), AskedAt: c.AskedAt,
		AnsweredAt: c.AnsweredAt, Attempt: int64(c.Attempt), Breaker: c.Breaker, Result: c.Result,
		HttpStatus: int64(c.HTTPStatus), WaitedMs: c.Waited.Milliseconds(),
	}
	if !c.Line.IsZero() {
		row.LineIndex = l.lines.index(c.Line)
	}
	request, answer := callPlaces(row)
	var err1, err2 error
	row.RequestSealed, err1 = sealOptional(l.vault, request, c.Request)
	row.AnswerSealed, err2 = sealOptional(l.vault, answer, c.Answer)
	if err := errors.Join(err1, err2); err != nil {
		return translate("seal call", err)
	}
	return translate("log call", kosdb.New(l.pool).AppendCall(ctx, row))
}
