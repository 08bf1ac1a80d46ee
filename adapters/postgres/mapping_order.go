package postgres

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// orderRows maps orders; Orders and ChangeOutbox share it.
type orderRows struct{ lines lines }

func newOrderRows(vault ports.Vault) orderRows {
	return orderRows{lines{vault, "product.change_orders.line"}}
}

func (r orderRows) added(o product.Order) (productdb.AddOrderParams, error) {
	sealed, err1 := r.lines.seal(o.Line)
	day, err2 := time.Parse(time.DateOnly, o.EffectiveDate.String())
	return productdb.AddOrderParams{
		ID: uuid.UUID(o.ID), TransactionID: uuid.UUID(o.TransactionID), UserID: string(o.UserID), CustomerID: o.CustomerID,
		LineSealed: sealed, LineIndex: r.lines.index(o.Line), FromCode: o.From, FromName: o.FromName, ToCode: o.To, ToName: o.ToName,
		EffectiveDate: day, State: string(o.State), RequestedAt: o.RequestedAt, NextAttemptAt: o.NextAttemptAt,
	}, errors.Join(err1, err2)
}

func (orderRows) saved(o product.Order) productdb.SaveOrderParams {
	state, next := due(o.State.Final(), o.ProcessedAt)
	return productdb.SaveOrderParams{
		ID: uuid.UUID(o.ID), Fence: o.Fence, FromName: o.FromName, ToName: o.ToName, State: string(o.State),
		ProcessedAt: optional(o.ProcessedAt), ResultCode: o.ResultCode, ResultMessage: o.ResultMessage, FailureReason: o.FailureReason,
		KosOrder: o.KOSOrder, Sends: int64(o.Sends), Reconciles: int64(o.Reconciles), NextAttemptAt: o.NextAttemptAt,
		DeliveryState: string(state), DeliveryNextAt: next,
	}
}

func (r orderRows) noun(row productdb.ChangeOrder) (product.Order, error) {
	n, err1 := r.lines.open(row.LineSealed)
	day, err2 := calendar.ParseDate("effective_date", row.EffectiveDate.Format(time.DateOnly))
	return product.Order{
		ID: id.ID(row.ID), TransactionID: id.ID(row.TransactionID), UserID: auth.UserID(row.UserID), CustomerID: row.CustomerID, Line: n,
		From: row.FromCode, To: row.ToCode, FromName: row.FromName, ToName: row.ToName, EffectiveDate: day,
		State: product.State(row.State), RequestedAt: row.RequestedAt.UTC(), ProcessedAt: moment(row.ProcessedAt),
		ResultCode: row.ResultCode, ResultMessage: row.ResultMessage, FailureReason: row.FailureReason, KOSOrder: row.KosOrder,
		Sends: int(row.Sends), Reconciles: int(row.Reconciles), NextAttemptAt: row.NextAttemptAt.UTC(), Fence: row.Fence,
	}, errors.Join(err1, err2)
}

func (r orderRows) nouns(rows []productdb.ChangeOrder) ([]product.Order, error) {
	nouns := make([]product.Order, len(rows))
	for i, row := range rows {
		var err error
		if nouns[i], err = r.noun(row); err != nil {
			return nil, translate("open order", err)
		}
	}
	return nouns, nil
}
