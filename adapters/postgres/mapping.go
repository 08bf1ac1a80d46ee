package postgres

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/money"
	"phonebill/core/product"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// Rows hold what nouns hold with these differences: a zero time, id or text that means "none" is NULL, times are cut to
// microseconds (PostgreSQL's precision) and in UTC, personal data is sealed.

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orZero[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func optionalID(i id.ID) *uuid.UUID {
	if i.IsZero() {
		return nil
	}
	u := uuid.UUID(i)
	return &u
}

func someID(u *uuid.UUID) id.ID {
	if u == nil {
		return id.ID{}
	}
	return id.ID(*u)
}

// since and before limit to the days from..to in Seoul; nil does not limit.
func since(from calendar.Date) *time.Time { return optionalDay(from, 0) }

func before(to calendar.Date) *time.Time { return optionalDay(to, 1) }

func optionalDay(d calendar.Date, more int) *time.Time {
	if d.IsZero() {
		return nil
	}
	return optional(d.AddDays(more).Start())
}

// skip is how many rows lie before the page, which counts from 1.
func skip(page, size int) int64 { return max(0, int64(page-1)) * int64(size) }

// due is the delivery half of a row: there is nothing to deliver before the work is final, and then it is due at once.
func due(final bool, at time.Time) (delivery.State, *time.Time) {
	if !final {
		return delivery.None, nil
	}
	return delivery.Pending, optional(at)
}

// lines are line numbers in the database: sealed for one column, found by their blind index.
type lines struct {
	vault  ports.Vault
	column string // database.table.column
}

// place is where a line is stored: keys are those of its row, besides the line's index.
func (l lines) place(index []byte, keys []string) sealing.Place {
	at := sealing.At(l.column, slices.Concat(keys, []string{string(index)})...)
	if len(keys) > 0 && keys[0] == "" { // of the decoy
		return at.WithoutAlert()
	}
	return at
}

func (l lines) seal(n line.Number, keys ...string) ([]byte, error) {
	return l.vault.Seal(l.place(l.index(n), keys), []byte(n.Digits()))
}

// open returns the line of the row with the index and the keys. A line that opens but has another index is not of that
// row.
func (l lines) open(sealed, index []byte, keys ...string) (line.Number, error) {
	at := l.place(index, keys)
	clear, err := l.vault.Open(at, sealed)
	if err != nil {
		return line.Number{}, err
	}
	var n line.Number
	if len(clear) > 0 {
		if n, err = line.Parse(string(clear)); err != nil {
			return line.Number{}, l.vault.Refuse(at, err)
		}
	}
	if !bytes.Equal(l.index(n), index) {
		return line.Number{}, l.vault.Refuse(at, errMisplaced)
	}
	return n, nil
}

// errMisplaced is why a value that opens is refused: the row is found by another value.
var errMisplaced = errors.New("postgres: a sealed value is not of its row")

func key[T ~[16]byte](of T) string { return string(of[:]) }

func (l lines) index(n line.Number) []byte { return l.vault.Index(ports.LineIndex, n.Digits()) }

func (l lines) indexes(all []line.Number) [][]byte {
	out := make([][]byte, len(all))
	for i, n := range all {
		out[i] = l.index(n)
	}
	return out
}

func sealOptional(v ports.Vault, at sealing.Place, clear []byte) ([]byte, error) {
	if len(clear) == 0 {
		return nil, nil
	}
	return v.Seal(at, clear)
}

func openOptional(v ports.Vault, at sealing.Place, sealed []byte) ([]byte, error) {
	if sealed == nil {
		return nil, nil
	}
	return v.Open(at, sealed)
}

// changed returns the code when a statement changed no row, as that of a late worker, else its error.
func changed(rows int64, err error, none fault.Code) error {
	if err == nil && rows == 0 {
		return fault.New(none)
	}
	return err
}

// summaryPlace is where the summary of an inquiry is stored; like the line it is bound to what never changes of the
// row.
func summaryPlace(row billdb.Inquiry) sealing.Place {
	return sealing.At("bill.inquiries.summary",
		append(inquiryKeys(row.ID, row.UserID, row.Month), string(row.LineIndex))...)
}

// inquiryKeys are what an inquiry's line is bound to besides its index.
func inquiryKeys(inquiry uuid.UUID, user, month string) []string {
	return []string{key(inquiry), user, month}
}

// inquiryRows maps inquiries; Inquiries and BillOutbox share it.
type inquiryRows struct {
	vault ports.Vault
	lines lines
}

func newInquiryRows(vault ports.Vault) inquiryRows {
	return inquiryRows{vault, lines{vault, "bill.inquiries.line"}}
}

// row seals an inquiry, without what only deliveries change.
func (r inquiryRows) row(q bill.Inquiry) (billdb.Inquiry, error) {
	sealedLine, err1 := r.lines.seal(q.Line, inquiryKeys(uuid.UUID(q.ID), string(q.UserID), q.Month.String())...)
	state, next := due(q.Status != bill.Processing, q.ProcessedAt)
	row := billdb.Inquiry{
		ID: uuid.UUID(q.ID), UserID: string(q.UserID), CustomerID: q.CustomerID, LineSealed: sealedLine,
		LineIndex: r.lines.index(q.Line), Month: q.Month.String(), Status: string(q.Status.Public()),
		TimedOut: q.Status == bill.Timeout, Source: string(q.Source), RequestedAt: q.RequestedAt,
		ProcessedAt: optional(q.ProcessedAt), AsOf: optional(q.AsOf), VersionID: optionalID(q.Version),
		FailureCode: string(q.FailureCode), Attempts: int64(q.Attempts), NextAttemptAt: optional(q.NextAttemptAt),
		Fence: q.Fence, DeliveryState: string(state), DeliveryNextAt: next, TraceID: q.TraceID,
	}
	var err2 error
	row.SummarySealed, err2 = sealOptional(r.vault, summaryPlace(row), []byte(q.Summary))
	return row, errors.Join(err1, err2)
}

func (r inquiryRows) noun(row billdb.Inquiry) (bill.Inquiry, error) {
	n, err1 := r.lines.open(row.LineSealed, row.LineIndex, inquiryKeys(row.ID, row.UserID, row.Month)...)
	summary, err2 := openOptional(r.vault, summaryPlace(row), row.SummarySealed)
	m, err3 := calendar.ParseMonth(row.Month)
	return bill.Inquiry{
		ID: id.ID(row.ID), UserID: auth.UserID(row.UserID), CustomerID: row.CustomerID, Line: n, Month: m,
		Status: statusOf(row), Source: freshness.Source(row.Source), RequestedAt: row.RequestedAt.UTC(),
		ProcessedAt: moment(row.ProcessedAt), AsOf: moment(row.AsOf), Version: someID(row.VersionID),
		Summary: string(summary), FailureCode: fault.Code(row.FailureCode), Attempts: int(row.Attempts),
		NextAttemptAt: moment(row.NextAttemptAt), Fence: row.Fence, TraceID: row.TraceID,
	}, errors.Join(err1, err2, err3)
}

// statusOf returns the status; a timeout is FAILED in the row, for the previous release, indexes and filters.
func statusOf(row billdb.Inquiry) bill.Status {
	if row.TimedOut {
		return bill.Timeout
	}
	return bill.Status(row.Status)
}

// shown maps a page of history. Parts of a row that cannot be opened are left out, except for its line.
func (r inquiryRows) shown(rows []billdb.Inquiry, of []line.Number) []bill.Inquiry {
	known, page := r.lines.known(of), make([]bill.Inquiry, len(rows))
	for i, row := range rows {
		var err error
		if page[i], err = r.noun(row); err != nil {
			page[i].Line = known(row.LineIndex)
		}
	}
	return page
}

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
		Reconciles: int64(o.Silences), NextAttemptAt: o.NextAttemptAt, Held: o.WaitingForKOS, Note: o.Note,
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
		FailureReason: row.FailureReason, KOSOrder: row.KosOrder, Sends: int(row.Sends), Silences: int(row.Reconciles),
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
