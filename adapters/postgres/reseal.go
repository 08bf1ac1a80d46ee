package postgres

import (
	"bytes"
	"context"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/adapters/postgres/internal/billdb"
	"phonebill/adapters/postgres/internal/kosdb"
	"phonebill/adapters/postgres/internal/productdb"
	"phonebill/core/bill"
	"phonebill/core/product"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// sealedRows implements ports.SealedRows. Every update names the value that was read, so a value that was changed
// meanwhile is left alone; it was written bound to its row. Columns that a service may not change are changed by
// functions of the owner, which only replace a value that is bound to its column (migrations, sealing).
type sealedRows struct {
	table string
	count func(context.Context) (int64, error)
	next  func(ctx context.Context, after string, n int) (sealing.Batch, error)
}

var _ ports.SealedRows = sealedRows{}

// Table is database.table.
func (r sealedRows) Table() string { return r.table }

// Count returns the number of rows.
func (r sealedRows) Count(ctx context.Context) (int, error) {
	n, err := r.count(ctx)
	return int(n), translate("count "+r.table, err)
}

// Reseal seals the next rows.
func (r sealedRows) Reseal(ctx context.Context, after string, n int) (sealing.Batch, error) {
	b, err := r.next(ctx, after, n)
	return b, translate("seal "+r.table+" anew", err)
}

// resealing seals values anew. err is the first error of a value that does not open.
type resealing struct {
	vault ports.Vault
	err   error
	done  bool // something was sealed anew
}

// value returns what is to be stored instead of sealed: sealed itself when it is bound to its row already, or does not
// open.
func (r *resealing) value(at sealing.Place, sealed []byte, fits func(clear []byte) bool) []byte {
	if sealed == nil {
		return nil
	}
	clear, err := r.vault.Open(at, sealed)
	if err == nil && fits != nil && !fits(clear) {
		err = errMisplaced
	}
	if err != nil {
		r.fail(err)
		return sealed
	}
	if sealing.Bound(sealed) {
		return sealed
	}
	again, err := r.vault.Seal(at, clear)
	if err != nil {
		r.fail(err)
		return sealed
	}
	r.done = true
	return again
}

func (r *resealing) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// line is value for a line number, which must have the index.
func (r *resealing) line(l lines, sealed, index []byte, keys ...string) []byte {
	return r.value(l.place(index, keys), sealed, func(clear []byte) bool {
		return bytes.Equal(l.vault.Index(ports.LineIndex, string(clear)), index)
	})
}

// copyOf is value for a copy.
func copyOf[T any](r *resealing, s ports.Sealer[T], at sealing.Place, sealed []byte, fits func(T) bool) []byte {
	held, err := s.Open(at, sealed)
	if err == nil && !fits(held) {
		err = errMisplaced
	}
	if err == nil && !s.Bound(sealed) {
		again, failed := s.Reseal(at, sealed)
		if failed == nil {
			r.done = true
			return again
		}
		err = failed
	}
	if err != nil {
		r.fail(err)
	}
	return sealed
}

// eachRow seals the values of each row with next, which returns the key of the row. err is that of reading the rows.
func eachRow[R any](
	vault ports.Vault, rows []R, err error, next func(*resealing, R) (key string, err error),
) (b sealing.Batch, _ error) {
	for _, row := range rows {
		r := resealing{vault: vault}
		key, err := next(&r, row)
		if err != nil {
			return b, err
		}
		b.Seen++
		b.Next = key
		if r.done {
			b.Resealed++
		}
		if r.err != nil {
			b.Unreadable = append(b.Unreadable, key)
		}
	}
	return b, err
}

// swaps are the new values of a batch, with those that they replace: the parameters of queries.
type swaps struct {
	Ids  []uuid.UUID //nolint:revive // the name that sqlc generates
	Olds [][]byte
	News [][]byte
}

func (s *swaps) add(row uuid.UUID, old, again []byte) {
	if !bytes.Equal(old, again) {
		s.Ids, s.Olds, s.News = append(s.Ids, row), append(s.Olds, old), append(s.News, again)
	}
}

// store stores the new values with a query, unless there are none or err is not nil.
func store[P ~struct {
	Ids  []uuid.UUID //nolint:revive // the name that sqlc generates
	Olds [][]byte
	News [][]byte
}](ctx context.Context, err error, s swaps, query func(context.Context, P) (int64, error)) error {
	if err == nil && len(s.Ids) > 0 {
		_, err = query(ctx, P(s))
	}
	return err
}

// cursor returns the id to continue from; none is before all.
func cursor(after string) uuid.UUID {
	row, err := uuid.Parse(after)
	if err != nil {
		return uuid.UUID{}
	}
	return row
}

// AuthSealed returns the sealed rows of the auth database, except second factors and seeds of signing keys, which were
// always bound to their row. vault must read both forms and write values bound to their row.
func AuthSealed(pool *pgxpool.Pool, vault ports.Vault) []ports.SealedRows {
	q, users := authdb.New(pool), NewUsers(pool, vault)
	return []ports.SealedRows{
		sealedRows{"auth.users", q.CountUsers, func(ctx context.Context, after string, n int) (sealing.Batch, error) {
			rows, err := q.UsersToReseal(ctx, authdb.UsersToResealParams{After: after, N: int64(n)})
			return eachRow(vault, rows, err, func(r *resealing, row authdb.UsersToResealRow) (string, error) {
				return row.UserID, users.reseal(ctx, q, row, r)
			})
		}},
		sealedRows{"auth.user_lines", q.CountUserLines,
			func(ctx context.Context, after string, n int) (sealing.Batch, error) {
				user, position, _ := strings.Cut(after, "/")
				at, _ := strconv.ParseInt(position, 10, 64)
				rows, err := q.UserLinesToReseal(ctx, authdb.UserLinesToResealParams{UserID: user, After: at, N: int64(n)})
				return eachRow(vault, rows, err, func(r *resealing, row authdb.UserLine) (key string, err error) {
					again := r.line(users.lines, row.LineSealed, row.LineIndex, linesKeys(row.UserID, row.Position)...)
					if r.done {
						_, err = q.ResealUserLine(ctx, authdb.ResealUserLineParams{
							UserID: row.UserID, At: row.Position, Old: row.LineSealed, New: again,
						})
					}
					return row.UserID + "/" + strconv.FormatInt(row.Position, 10), err
				})
			}},
	}
}

func (u *Users) reseal(ctx context.Context, q *authdb.Queries, row authdb.UsersToResealRow, r *resealing) error {
	name := r.value(userPlace(userName, row.UserID), row.NameSealed, nil)
	phone := r.line(u.phone, row.PhoneSealed, row.PhoneIndex, row.UserID)
	email := r.value(u.emailPlace(row.UserID, row.EmailIndex), row.EmailSealed, func(clear []byte) bool {
		return bytes.Equal(u.vault.Index(userEmail, string(clear)), row.EmailIndex)
	})
	hash := row.PasswordHash
	if clear, err := u.openHash(row.UserID, hash); err != nil {
		r.fail(err)
	} else if !strings.HasPrefix(hash, sealedHash) && hash != "" {
		if hash, err = u.sealHash(row.UserID, clear); err != nil {
			return err
		}
		r.done = true
	}
	if !r.done {
		return nil
	}
	return q.ResealUser(ctx, authdb.ResealUserParams{
		UserID: row.UserID, OldHash: row.PasswordHash, NewHash: hash, OldName: row.NameSealed, NewName: name,
		OldPhone: row.PhoneSealed, NewPhone: phone, OldEmail: row.EmailSealed, NewEmail: email,
	})
}

// BillSealed returns the sealed rows of the bill database; vault and sealer as for AuthSealed.
func BillSealed(pool *pgxpool.Pool, vault ports.Vault, sealer ports.Sealer[bill.Copy]) []ports.SealedRows {
	q, inquiries := billdb.New(pool), newInquiryRows(vault)
	versions := func(ctx context.Context, after string, n int) (sealing.Batch, error) {
		rows, err := q.BillVersionsToReseal(ctx, billdb.BillVersionsToResealParams{After: cursor(after), N: int64(n)})
		var s swaps
		b, err := eachRow(vault, rows, err, func(r *resealing, row billdb.BillVersionsToResealRow) (string, error) {
			at := versionPlace(row.ID, row.LineIndex, row.Month)
			s.add(row.ID, row.Sealed, copyOf(r, sealer, at, row.Sealed, func(c bill.Copy) bool {
				return uuid.UUID(c.Version) == row.ID && c.Bill.Month.String() == row.Month &&
					bytes.Equal(inquiries.lines.index(c.Bill.Line), row.LineIndex)
			}))
			return row.ID.String(), nil
		})
		return b, store(ctx, err, s, q.ResealBillVersions)
	}
	requests := func(ctx context.Context, after string, n int) (sealing.Batch, error) {
		rows, err := q.InquiriesToReseal(ctx, billdb.InquiriesToResealParams{After: cursor(after), N: int64(n)})
		var lines, summaries swaps
		b, err := eachRow(vault, rows, err, func(r *resealing, row billdb.InquiriesToResealRow) (string, error) {
			lines.add(row.ID, row.LineSealed,
				r.line(inquiries.lines, row.LineSealed, row.LineIndex, inquiryKeys(row.ID, row.UserID, row.Month)...))
			at := summaryPlace(billdb.Inquiry{ID: row.ID, UserID: row.UserID, Month: row.Month, LineIndex: row.LineIndex})
			summaries.add(row.ID, row.SummarySealed, r.value(at, row.SummarySealed, nil))
			return row.ID.String(), nil
		})
		err = store(ctx, err, lines, q.ResealInquiryLines)
		return b, store(ctx, err, summaries, q.ResealInquirySummaries)
	}
	return []ports.SealedRows{
		sealedRows{"bill.bill_versions", q.CountBillVersions, versions},
		sealedRows{"bill.inquiries", q.CountAllInquiries, requests},
	}
}

// ProductSealed returns the sealed rows of the product database; vault as for AuthSealed.
func ProductSealed(pool *pgxpool.Pool, vault ports.Vault) []ports.SealedRows {
	q, orders := productdb.New(pool), newOrderRows(vault)
	next := func(ctx context.Context, after string, n int) (sealing.Batch, error) {
		rows, err := q.OrdersToReseal(ctx, productdb.OrdersToResealParams{After: cursor(after), N: int64(n)})
		var s swaps
		b, err := eachRow(vault, rows, err, func(r *resealing, row productdb.OrdersToResealRow) (string, error) {
			s.add(row.ID, row.LineSealed,
				r.line(orders.lines, row.LineSealed, row.LineIndex, orderKeys(row.ID, row.UserID)...))
			return row.ID.String(), nil
		})
		return b, store(ctx, err, s, q.ResealOrderLines)
	}
	return []ports.SealedRows{sealedRows{"product.change_orders", q.CountAllOrders, next}}
}

// KOSSealed returns the sealed rows of the kos database; vault and sealers as for AuthSealed.
func KOSSealed(
	pool *pgxpool.Pool, vault ports.Vault,
	customers ports.Sealer[product.CustomerCopy], plans ports.Sealer[product.PlansCopy],
	months ports.Sealer[bill.MonthsCopy],
) []ports.SealedRows {
	q, active := kosdb.New(pool), NewActiveLines(pool, vault)
	calls := func(ctx context.Context, after string, n int) (sealing.Batch, error) {
		rows, err := q.CallsToReseal(ctx, kosdb.CallsToResealParams{After: cursor(after), N: int64(n)})
		var requests, answers swaps
		b, err := eachRow(vault, rows, err, func(r *resealing, row kosdb.CallsToResealRow) (string, error) {
			request, answer := callPlaces(kosdb.AppendCallParams{
				ID: row.ID, Operation: row.Operation, LineIndex: row.LineIndex, RequestID: row.RequestID,
			})
			requests.add(row.ID, row.RequestSealed, r.value(request, row.RequestSealed, nil))
			answers.add(row.ID, row.AnswerSealed, r.value(answer, row.AnswerSealed, nil))
			return row.ID.String(), nil
		})
		err = store(ctx, err, requests, q.ResealCallRequests)
		return b, store(ctx, err, answers, q.ResealCallAnswers)
	}
	customerCopies := func(ctx context.Context, after string, n int) (sealing.Batch, error) {
		start, _ := hex.DecodeString(after)
		rows, err := q.CustomerCopiesToReseal(ctx,
			kosdb.CustomerCopiesToResealParams{After: append([]byte{}, start...), N: int64(n)})
		return eachRow(vault, rows, err, func(r *resealing, row kosdb.CustomerCopiesToResealRow) (key string, err error) {
			again := copyOf(r, customers, customerPlace(row.LineIndex), row.Sealed, func(c product.CustomerCopy) bool {
				return bytes.Equal(active.lines.index(c.Customer.Line), row.LineIndex)
			})
			if r.done {
				_, err = q.ResealCustomerCopy(ctx, kosdb.ResealCustomerCopyParams{
					LineIndex: row.LineIndex, Old: row.Sealed, New: again,
				})
			}
			return hex.EncodeToString(row.LineIndex), err
		})
	}
	planCopies := func(ctx context.Context, after string, n int) (sealing.Batch, error) {
		rows, err := q.PlanCopiesToReseal(ctx, kosdb.PlanCopiesToResealParams{After: after, N: int64(n)})
		return eachRow(vault, rows, err, func(r *resealing, row kosdb.PlanCopiesToResealRow) (key string, err error) {
			again := copyOf(r, plans, plansPlace(), row.Sealed, func(product.PlansCopy) bool { return true })
			if r.done {
				_, err = q.ResealPlanCopy(ctx, kosdb.ResealPlanCopyParams{List: row.List, Old: row.Sealed, New: again})
			}
			return row.List, err
		})
	}
	activeLines := func(ctx context.Context, after string, n int) (sealing.Batch, error) {
		start, kind, _ := strings.Cut(after, "/")
		index, _ := hex.DecodeString(start)
		rows, err := q.ActiveLinesToReseal(ctx, kosdb.ActiveLinesToResealParams{
			LineIndex: append([]byte{}, index...), Kind: kind, N: int64(n),
		})
		return eachRow(vault, rows, err, func(r *resealing, row kosdb.ActiveLinesToResealRow) (key string, err error) {
			again := r.line(active.lines, row.LineSealed, row.LineIndex, row.Kind)
			if r.done {
				_, err = q.ResealActiveLine(ctx, kosdb.ResealActiveLineParams{
					LineIndex: row.LineIndex, Kind: row.Kind, Old: row.LineSealed, New: again,
				})
			}
			return hex.EncodeToString(row.LineIndex) + "/" + row.Kind, err
		})
	}
	return []ports.SealedRows{
		sealedRows{"kos.kos_calls", q.CountCalls, calls},
		sealedRows{"kos.customer_copies", q.CountCustomerCopies, customerCopies},
		NewBillMonths(pool, vault, months).sealedRows(),
		sealedRows{"kos.plan_copies", func(context.Context) (int64, error) { return 1, nil }, planCopies},
		sealedRows{"kos.active_lines", q.CountActiveLines, activeLines},
	}
}
