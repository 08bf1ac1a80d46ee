package postgres

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/product"
	"phonebill/ports"
)

// orderRows maps orders; Orders and ChangeOutbox share it.
type orderRows struct{ lines lines }

func newOrderRows(vault ports.Vault) orderRows {
	return orderRows{lines{vault, "product.change_orders.line"}}
}

// orderKeys are what an order's line is bound to besides its index.
func orderKeys(order uuid.UUID, user string) []string { return []string{key(order), user} }

func (r orderRows) added(o product.Order) (productdb.AddOrderParams, error) {
	sealed, err1 := r.lines.seal(o.Line, orderKeys(uuid.UUID(o.ID), string(o.UserID))...)
	day, err2 := time.Parse(time.DateOnly, o.EffectiveDate.String())
	return productdb.AddOrderParams{
		ID: uuid.UUID(o.ID), TransactionID: uuid.UUID(o.TransactionID), UserID: string(o.UserID), CustomerID: o.CustomerID,
		LineSealed: sealed, LineIndex: r.lines.index(o.Line), FromCode: o.From, FromName: o.FromName, ToCode: o.To,
		ToName: o.Target.Name, EffectiveRule: string(o.Rule), EffectiveDate: day, State: string(o.State),
		RequestedAt: o.RequestedAt, NextAttemptAt: o.NextAttemptAt, TraceID: o.TraceID,
	}, errors.Join(err1, err2)
}

func (orderRows) saved(o product.Order, at time.Time) (productdb.SaveOrderParams, error) {
	state, next := due(o.State.Final(), o.ProcessedAt)
	day, err1 := time.Parse(time.DateOnly, o.EffectiveDate.String())
	plan, err2 := planColumn(o.Target)
	return productdb.SaveOrderParams{
		ID: uuid.UUID(o.ID), At: at, Fence: o.Fence, Version: o.Version, TransactionID: uuid.UUID(o.TransactionID),
		EffectiveDate: day, FromName: o.FromName, ToName: o.Target.Name, ToPlan: plan, CheckedAt: optional(o.CheckedAt),
		State: string(o.State), ProcessedAt: optional(o.ProcessedAt), ResultCode: o.ResultCode,
		ResultMessage: o.ResultMessage, FailureReason: o.FailureReason, KosOrder: o.KOSOrder, Sends: int64(o.Sends),
		Reconciles: int64(o.Reconciles), NextAttemptAt: o.NextAttemptAt, Held: o.WaitingForKOS, Note: o.Note,
		DeliveryState: string(state), DeliveryNextAt: next,
	}, errors.Join(err1, err2)
}

// planForm is the version of planRow that distinguishes a fee that KOS left out from 0 won; older rows do not.
const planForm = 2

// planRow is a plan as it was ordered; renaming a field here breaks stored rows. The previous release reads it too, and
// takes a missing fee for 0.
type planRow struct {
	Form        int    `json:"form,omitempty"`
	Code        string `json:"code"`
	Name        string `json:"name"`
	Fee         *int64 `json:"fee,omitempty"` // won a month
	Data        string `json:"data"`
	Voice       string `json:"voice"`
	SMS         string `json:"sms"`
	Network     string `json:"network"`
	Description string `json:"description"`
	OnSale      bool   `json:"onSale"`
	SaleUnknown bool   `json:"saleUnknown,omitempty"`
	Operator    string `json:"operator"`
}

func planColumn(p product.Plan) ([]byte, error) {
	if p == (product.Plan{}) {
		return nil, nil
	}
	return json.Marshal(planRow{
		Form: planForm, Code: p.Code, Name: p.Name, Fee: (*int64)(p.MonthlyFee), Data: p.DataAllowance,
		Voice: p.VoiceAllowance, SMS: p.SMSAllowance, Network: p.NetworkType, Description: p.Description, OnSale: p.OnSale,
		SaleUnknown: p.SaleUnknown, Operator: p.OperatorCode,
	})
}

// target reads the plan as it was ordered. Older orders have at most its name. A fee of 0 won that the previous release
// wrote may be one that KOS left out.
func target(row productdb.ChangeOrder) (product.Plan, error) {
	if row.ToPlan == nil {
		if row.ToName == "" {
			return product.Plan{}, nil
		}
		return product.Plan{Code: row.ToCode, Name: row.ToName, SaleUnknown: true}, nil
	}
	var p planRow
	err := json.Unmarshal(row.ToPlan, &p)
	if p.Form < planForm && p.Fee != nil && *p.Fee == 0 {
		p.Fee = nil
	}
	return product.Plan{
		Code: p.Code, Name: p.Name, MonthlyFee: (*money.Won)(p.Fee), DataAllowance: p.Data, VoiceAllowance: p.Voice,
		SMSAllowance: p.SMS, NetworkType: p.Network, Description: p.Description, OnSale: p.OnSale, SaleUnknown: p.SaleUnknown,
		OperatorCode: p.Operator,
	}, err
}

func (r orderRows) noun(row productdb.ChangeOrder) (product.Order, error) {
	n, err1 := r.lines.open(row.LineSealed, row.LineIndex, orderKeys(row.ID, row.UserID)...)
	day, err2 := calendar.ParseDate("effective_date", row.EffectiveDate.Format(time.DateOnly))
	plan, err3 := target(row)
	return product.Order{
		ID: id.ID(row.ID), TransactionID: id.ID(row.TransactionID), UserID: auth.UserID(row.UserID),
		CustomerID: row.CustomerID, Line: n, From: row.FromCode, To: row.ToCode, FromName: row.FromName, Target: plan,
		Rule: product.EffectiveRule(row.EffectiveRule), EffectiveDate: day,
		CheckedAt: moment(row.CheckedAt), State: product.State(row.State), RequestedAt: row.RequestedAt.UTC(),
		ProcessedAt: moment(row.ProcessedAt), ResultCode: row.ResultCode, ResultMessage: row.ResultMessage,
		FailureReason: row.FailureReason, KOSOrder: row.KosOrder, Sends: int(row.Sends), Reconciles: int(row.Reconciles),
		NextAttemptAt: row.NextAttemptAt.UTC(), WaitingForKOS: row.Held, Fence: row.Fence, Version: row.Version,
		TraceID: row.TraceID,
	}, errors.Join(err1, err2, err3)
}

// shown maps a page of history. Parts of a row that cannot be opened are left out, except for its line.
func (r orderRows) shown(rows []productdb.ChangeOrder, of []line.Number) []product.Order {
	known, page := r.lines.known(of), make([]product.Order, len(rows))
	for i, row := range rows {
		var err error
		if page[i], err = r.noun(row); err != nil {
			page[i].Line = known(row.LineIndex)
		}
	}
	return page
}
