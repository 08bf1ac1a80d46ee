package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/core/audit"
	"phonebill/ports"
)

// CallLog implements ports.CallLog. Request and answer hold personal data: they are sealed.
type CallLog struct {
	pool  *pgxpool.Pool
	vault ports.Vault
	lines lines
}

var _ ports.CallLog = (*CallLog)(nil)

const (
	callRequest = "kos.kos_calls.request"
	callAnswer  = "kos.kos_calls.answer"
)

// NewCallLog works on the kos database.
func NewCallLog(pool *pgxpool.Pool, vault ports.Vault) *CallLog {
	return &CallLog{pool, vault, lines{vault: vault}}
}

// Append stores one call.
func (l *CallLog) Append(ctx context.Context, c audit.Call) error {
	request, err1 := sealOptional(l.vault, callRequest, c.Request)
	answer, err2 := sealOptional(l.vault, callAnswer, c.Answer)
	if err := errors.Join(err1, err2); err != nil {
		return translate("seal call", err)
	}
	row := kosdb.AppendCallParams{
		ID: uuid.UUID(c.ID), Operation: c.Operation, RequestID: optionalID(c.RequestID), AskedAt: c.AskedAt, AnsweredAt: c.AnsweredAt,
		Attempt: int64(c.Attempt), Breaker: c.Breaker, Result: c.Result, HttpStatus: int64(c.HTTPStatus),
		RequestSealed: request, AnswerSealed: answer, WaitedMs: c.Waited.Milliseconds(),
	}
	if !c.Line.IsZero() {
		row.LineIndex = l.lines.index(c.Line)
	}
	return translate("log call", kosdb.New(l.pool).AppendCall(ctx, row))
}
