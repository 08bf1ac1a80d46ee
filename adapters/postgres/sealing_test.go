package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/core/request"
	"phonebill/core/sealing"
	"phonebill/core/sealing/reseal"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// house holds the four databases with two rows at least in every table that holds sealed values, except for the one
// plan list.
type house struct {
	keys    *vault.Vault
	refused *refusals
	db      map[migrations.Database]*pgtest.DB
	factors *postgres.SecondFactors
	users   *postgres.Users
}

// refusals are the places of values that did not open.
type refusals struct {
	mu  sync.Mutex
	all []string
}

func (r *refusals) hear(at sealing.Place, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, at.Name())
}

func (r *refusals) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

func twoBills() []bill.Copy { return portstest.BillCopies()[:2] }

var seconds = []auth.UserID{"hong1234", "kim56789"}

// furnish fills them in the form.
func furnish(t *testing.T, form sealing.Form) house {
	t.Helper()
	h := house{keys: keyring(t), refused: &refusals{}, db: map[migrations.Database]*pgtest.DB{}}
	h.keys.Report(h.refused.hear)
	h.keys.Obey(form)
	for _, db := range migrations.All() {
		h.db[db] = pgtest.New(t, db)
		exec(t, h.db[db].Admin, fmt.Sprintf("UPDATE sealing SET form = %d", form))
	}
	ctx := t.Context()
	authDB, billDB := h.db[migrations.Auth].Pool, h.db[migrations.Bill].Pool
	productDB, kosDB := h.db[migrations.Product].Pool, h.db[migrations.KOS].Pool

	h.users, h.factors = postgres.NewUsers(authDB, h.keys), postgres.NewSecondFactors(authDB, h.keys)
	first, second := portstest.Owner(), portstest.Owner()
	second.UserID, second.Name, second.Phone = seconds[1], personal.NewName("김철수"), portstest.Line(2)
	second.Email, second.Lines = personal.NewEmail("kim@example.com"), []line.Number{portstest.Line(7), portstest.Line(8)}
	second.PasswordHash = personal.NewSecret("$argon2id$other")
	for _, u := range []auth.User{first, second} {
		require.NoError(t, h.users.Create(ctx, u))
		factor := auth.TOTP{Secret: personal.NewSecret(string(u.UserID)), CreatedAt: noon, ConfirmedAt: noon}
		require.NoError(t, h.factors.Begin(ctx, u.UserID, factor))
		require.NoError(t, h.factors.Confirm(ctx, u.UserID, factor, nil))
		require.NoError(t, h.factors.BeginNext(ctx, u.UserID,
			auth.TOTP{Secret: personal.NewSecret("next " + string(u.UserID)), CreatedAt: noon}))
	}
	signing := postgres.NewSigningKeys(authDB, h.keys)
	require.NoError(t, signing.AddFirst(ctx, auth.SigningKey{KeyID: "a", Seed: personal.NewSecret("s"), CreatedAt: noon}))
	require.NoError(t,
		signing.AddNext(ctx, auth.SigningKey{KeyID: "b", Seed: personal.NewSecret("t"), CreatedAt: noon}, "a"))

	bills, inquiries := postgres.NewBills(billDB, h.keys, vault.Bills(h.keys), &memory.Epochs{}),
		postgres.NewInquiries(billDB, h.keys)
	for i, c := range twoBills() {
		require.NoError(t, bills.Put(ctx, c))
		require.NoError(t, inquiries.Add(ctx, inquiry(byte(i+1)).Complete(c, freshness.FromKOS, noon)))
	}
	orders := postgres.NewOrders(productDB, h.keys)
	require.NoError(t, orders.Add(ctx, order(1), request.KeyUse{}))
	require.NoError(t, orders.Add(ctx, order(2), request.KeyUse{}))

	calls, active := postgres.NewCallLog(kosDB, h.keys), postgres.NewActiveLines(kosDB, h.keys)
	customers := postgres.NewCustomers(kosDB, h.keys, vault.Customers(h.keys))
	for i, c := range portstest.CustomerCopies()[:2] {
		require.NoError(t, customers.Put(ctx, c))
		require.NoError(t, calls.Append(ctx, audit.Call{
			ID: id.ID{byte(i + 1)}, Operation: "bill.inquiry", Line: c.Customer.Line, RequestID: id.ID{15: byte(i)},
			Request: []byte("asked"), Answer: []byte("answered"), AskedAt: noon, AnsweredAt: noon,
		}))
	}
	require.NoError(t,
		active.NoteActiveLine(ctx, freshness.Bills, []line.Number{portstest.Line(1), portstest.Line(2)}, noon, noon))
	require.NoError(t, postgres.NewPlans(kosDB, vault.Plans(h.keys)).Put(ctx, portstest.PlansCopies()[0]))
	for _, c := range portstest.MonthsCopies() {
		require.NoError(t, postgres.NewBillMonths(kosDB, h.keys, vault.BillMonths(h.keys)).Put(ctx, c))
	}
	return h
}

// rows are all sealed rows, as the job sees them.
func (h house) rows(v *vault.Vault) []reseal.Database {
	tables := map[migrations.Database][]ports.SealedRows{
		migrations.Auth:    postgres.AuthSealed(h.db[migrations.Auth].Pool, v),
		migrations.Bill:    postgres.BillSealed(h.db[migrations.Bill].Pool, v, vault.Bills(v)),
		migrations.Product: postgres.ProductSealed(h.db[migrations.Product].Pool, v),
		migrations.KOS: postgres.KOSSealed(h.db[migrations.KOS].Pool, v, vault.Customers(v), vault.Plans(v),
			vault.BillMonths(v)),
	}
	var all []reseal.Database
	for _, db := range migrations.All() {
		all = append(all,
			reseal.Database{Name: string(db), Form: postgres.NewSealingForm(db, h.db[db].Pool), Rows: tables[db]})
	}
	return all
}

func (h house) job(form sealing.Form) *reseal.Service {
	return &reseal.Service{
		Databases: h.rows(h.keys.Resealing(form)), Settle: time.Second,
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		Now:  time.Now, Batch: 1, PerSecond: 1000, Progress: func(reseal.Progress) {},
	}
}

// whole reports whether every sealed value opens in its place.
func (h house) whole(t *testing.T, form sealing.Form) bool {
	t.Helper()
	whole := true
	for _, db := range h.rows(h.keys.Resealing(form)) {
		for _, rows := range db.Rows {
			after := ""
			for {
				b, err := rows.Reseal(t.Context(), after, 1)
				require.NoError(t, err)
				whole = whole && len(b.Unreadable) == 0
				if b.Seen == 0 {
					break
				}
				after = b.Next
			}
		}
	}
	for _, user := range seconds {
		_, err := h.factors.Get(t.Context(), user)
		whole = whole && err == nil
	}
	_, err := postgres.NewSigningKeys(h.db[migrations.Auth].Pool, h.keys).List(t.Context())
	return whole && err == nil
}

// swap exchanges the values of a column between two rows.
func swap(t *testing.T, db *pgtest.DB, table, column string) {
	t.Helper()
	tag, err := db.Admin.Exec(t.Context(), fmt.Sprintf(`WITH two AS (
			SELECT r.ctid AS at, r.%[2]s AS value, row_number() OVER (ORDER BY (to_jsonb(r) - '%[2]s')::text) AS n
			FROM %[1]s r WHERE r.%[2]s IS NOT NULL ORDER BY n LIMIT 2
		) UPDATE %[1]s t SET %[2]s = other.value FROM two own JOIN two other ON own.n <> other.n WHERE t.ctid = own.at`,
		table, column))
	require.NoError(t, err, "%s.%s", table, column)
	require.EqualValues(t, 2, tag.RowsAffected(), "%s.%s: two rows to exchange", table, column)
}

// TestNoSealedValueCanBeMovedToAnotherRow checks all sealed columns of the four schemas; a new one that is not bound to
// its row, or that the job does not know, fails it.
func TestNoSealedValueCanBeMovedToAnotherRow(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Row)
	require.True(t, h.whole(t, sealing.RowOnly))
	walked := 0
	for _, name := range migrations.All() {
		db := h.db[name]
		for _, column := range texts(t, db.Admin, `SELECT table_name || ' ' || column_name FROM information_schema.columns
			WHERE table_schema = 'public' AND (column_name LIKE '%sealed%' OR column_name = 'password_hash') ORDER BY 1`) {
			table, column, _ := strings.Cut(column, " ")
			if table == "plan_copies" { // one row, by its CHECK
				continue
			}
			walked++
			swap(t, db, table, column)
			require.False(t, h.whole(t, sealing.RowOnly), "%s.%s can be moved", table, column)
			swap(t, db, table, column)
			require.True(t, h.whole(t, sealing.RowOnly), "%s.%s", table, column)
		}
	}
	require.GreaterOrEqual(t, walked, 14)
}

// TestExchangedLinesShowNoForeignBill: two customers' lines are exchanged, and neither sees the other's bills.
func TestExchangedLinesShowNoForeignBill(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Row)
	db := h.db[migrations.Auth]
	exec(t, db.Admin, "DELETE FROM user_lines WHERE position > 1")
	swap(t, db, "user_lines", "line_sealed")
	for _, user := range seconds {
		u, err := h.users.ByID(t.Context(), user)
		require.NoError(t, err)
		require.Empty(t, u.Lines)
		require.Equal(t, []auth.Part{auth.PartLines}, u.Unreadable)
	}
	require.Equal(t, []string{"auth.user_lines.line", "auth.user_lines.line"}, h.refused.taken())
}

// TestAnExchangedBillIsNeitherShownNorDelivered, not even when the rows are those of the previous release, whose values
// open anywhere.
func TestAnExchangedBillIsNeitherShownNorDelivered(t *testing.T) {
	t.Parallel()
	for _, form := range []sealing.Form{sealing.Column, sealing.Row} {
		h := furnish(t, form)
		db := h.db[migrations.Bill]
		swap(t, db, "bill_versions", "sealed")
		bills := postgres.NewBills(db.Pool, h.keys, vault.Bills(h.keys), &memory.Epochs{})
		for _, c := range twoBills() {
			_, err := bills.Latest(t.Context(), c.Bill.Line, c.Bill.Month)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound), form.String())
			_, err = bills.Version(t.Context(), c.Bill.Line, c.Bill.Month, c.Version)
			require.ErrorIs(t, err, fault.New(fault.ResourceNotFound), form.String())
		}
		claimed, err := postgres.NewBillOutbox(db.Pool, h.keys, vault.Bills(h.keys)).Claim(t.Context(), noon, time.Minute, 9,
			9)
		require.NoError(t, err)
		require.Len(t, claimed, 2)
		for _, batch := range claimed {
			require.Equal(t, delivery.Rejected, batch[0].Unreadable.Outcome)
			require.Nil(t, batch[0].Body.Bill)
		}
		require.Len(t, h.refused.taken(), 6, form.String())
	}
}

// TestAnInquiryShowsItsOwnLinesBill, whatever version its row names.
func TestAnInquiryShowsItsOwnLinesBill(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Row)
	db := h.db[migrations.Bill]
	swap(t, db, "inquiries", "version_id")
	claimed, err := postgres.NewBillOutbox(db.Pool, h.keys, vault.Bills(h.keys)).Claim(t.Context(), noon, time.Minute, 9,
		9)
	require.NoError(t, err)
	require.Len(t, claimed, 2)
	for _, batch := range claimed {
		require.Equal(t, delivery.Rejected, batch[0].Unreadable.Outcome)
		require.Nil(t, batch[0].Body.Bill)
	}
	require.Len(t, h.refused.taken(), 2)
}

// TestExchangedLinesOfPreviousReleaseAreFoundByTheirIndex: their values open in any row.
func TestExchangedLinesOfPreviousReleaseAreFoundByTheirIndex(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Column)
	db := h.db[migrations.Auth]
	exec(t, db.Admin, "DELETE FROM user_lines WHERE position > 1")
	swap(t, db, "user_lines", "line_sealed")
	swap(t, db, "users", "email_sealed")
	swap(t, db, "users", "phone_sealed")
	u, err := h.users.ByID(t.Context(), seconds[0])
	require.NoError(t, err)
	require.Equal(t, []auth.Part{auth.PartPhone, auth.PartEmail, auth.PartLines}, u.Unreadable)
	swap(t, h.db[migrations.KOS], "customer_copies", "sealed")
	_, err = postgres.NewCustomers(h.db[migrations.KOS].Pool, h.keys, vault.Customers(h.keys)).Latest(t.Context(),
		portstest.Line(1))
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
	swap(t, h.db[migrations.KOS], "month_copies", "sealed")
	_, err = postgres.NewBillMonths(h.db[migrations.KOS].Pool, h.keys, vault.BillMonths(h.keys)).Latest(t.Context(),
		portstest.Line(1))
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
	swap(t, h.db[migrations.Product], "change_orders", "line_sealed")
	_, err = postgres.NewOrders(h.db[migrations.Product].Pool, h.keys).Get(t.Context(), id.ID{1})
	require.Error(t, err)
}

// TestUnreadablePartsAreKept: an account of which a part cannot be opened is changed, and loses nothing.
func TestUnreadablePartsAreKept(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Row)
	db := h.db[migrations.Auth]
	for _, column := range []string{"name_sealed", "email_sealed", "phone_sealed", "password_hash"} {
		swap(t, db, "users", column)
	}
	exec(t, db.Admin, "DELETE FROM user_lines WHERE position > 1")
	swap(t, db, "user_lines", "line_sealed")
	before := texts(t, db.Admin,
		"SELECT user_id || password_hash || name_sealed || phone_sealed || email_sealed FROM users ORDER BY 1")
	u, err := h.users.Change(t.Context(), seconds[0],
		func(u auth.User) (auth.User, error) { u.Status = auth.Suspended; return u, nil })
	require.NoError(t, err)
	require.Equal(t, auth.Suspended, u.Status)
	require.Len(t, u.Unreadable, 5)
	require.Equal(t, before, texts(t, db.Admin,
		"SELECT user_id || password_hash || name_sealed || phone_sealed || email_sealed FROM users ORDER BY 1"))
	require.Equal(t, 2, count(t, db.Admin, "user_lines"))

	u, err = h.users.Change(t.Context(), seconds[0], func(u auth.User) (auth.User, error) {
		u.Name, u.Lines = personal.NewName("홍길순"), []line.Number{portstest.Line(5)}
		return u, nil
	})
	require.NoError(t, err)
	require.Equal(t, []auth.Part{auth.PartPhone, auth.PartEmail, auth.PartPassword}, u.Unreadable)
	u, err = h.users.ByID(t.Context(), seconds[0])
	require.NoError(t, err)
	require.Equal(t, []auth.Part{auth.PartPhone, auth.PartEmail, auth.PartPassword}, u.Unreadable)
	require.Equal(t, []line.Number{portstest.Line(5)}, u.Lines)
	require.Equal(t, "홍길순", u.Name.Reveal())
}

// TestPreviousReleaseReadsNewRows: as long as the form says so, only its own form is written.
func TestPreviousReleaseReadsNewRows(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Column)
	for _, name := range migrations.All() {
		for _, column := range texts(t, h.db[name].Admin,
			`SELECT table_name || ' ' || column_name FROM information_schema.columns
			WHERE table_schema = 'public' AND column_name LIKE '%sealed%'`) {
			table, column, _ := strings.Cut(column, " ")
			mark := 0
			if column == "sealed" { // behind the version
				mark = 1
			}
			require.Empty(t,
				texts(t, h.db[name].Admin, fmt.Sprintf("SELECT 'bound' FROM %s WHERE get_byte(%s, %d) <> 1", table, column, mark)),
				"%s.%s", table, column)
		}
	}
	require.Equal(t, []string{"$argon2id$one", "$argon2id$other"},
		texts(t, h.db[migrations.Auth].Admin, "SELECT password_hash FROM users ORDER BY 1"))
}

// TestResealing: rows of the previous release are read at once, sealed anew by a job that may stop anywhere, and
// refused afterwards.
func TestResealing(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Column)
	h.keys.Obey(sealing.Row)
	u, err := h.users.ByID(t.Context(), seconds[0])
	require.NoError(t, err)
	require.Empty(t, u.Unreadable)
	require.Equal(t, portstest.Owner().Lines, u.Lines)

	job := h.job(sealing.Row)
	broken, cut := context.WithCancel(t.Context())
	steps := 0
	job.Progress = func(reseal.Progress) {
		if steps++; steps == 5 {
			cut()
		}
	}
	_, err = job.Run(broken, false)
	require.ErrorIs(t, err, context.Canceled)
	form, err := job.Form(t.Context())
	require.NoError(t, err)
	require.Equal(t, sealing.Row, form)
	require.True(t, h.whole(t, sealing.Row), "half done is whole")

	h = furnish(t, sealing.Column)
	job = h.job(sealing.Row)
	var last reseal.Progress
	job.Progress = func(p reseal.Progress) { last = p }
	r, err := job.Run(t.Context(), false)
	require.NoError(t, err)
	require.Equal(t, sealing.RowOnly, r.Form)
	require.Equal(t, r.Seen, r.Resealed, "every row had values of the older form")
	require.Equal(t, r.Seen, last.Rows)
	require.Zero(t, last.Left)
	h.keys.Obey(sealing.RowOnly)
	require.True(t, h.whole(t, sealing.RowOnly))
	u, err = h.users.ByID(t.Context(), seconds[0])
	require.NoError(t, err)
	want := portstest.Owner()
	require.Equal(t, []any{want.Lines, want.Name, want.Phone, want.Email, want.PasswordHash},
		[]any{u.Lines, u.Name, u.Phone, u.Email, u.PasswordHash})
	require.Empty(t, u.Unreadable)
	c := portstest.BillCopies()[0]
	bills := postgres.NewBills(h.db[migrations.Bill].Pool, h.keys, vault.Bills(h.keys), &memory.Epochs{})
	held, err := bills.Latest(t.Context(), c.Bill.Line, c.Bill.Month)
	require.NoError(t, err)
	require.Equal(t, c, held)
	again, err := h.job(sealing.RowOnly).Run(t.Context(), false)
	require.NoError(t, err)
	require.Zero(t, again.Resealed)

	exec(t, h.db[migrations.Auth].Admin, "UPDATE users SET password_hash = '$argon2id$mine' WHERE user_id = 'hong1234'")
	u, err = h.users.ByID(t.Context(), seconds[0])
	require.NoError(t, err)
	require.Equal(t, []auth.Part{auth.PartPassword}, u.Unreadable, "a hash that somebody put there opens nothing")
	require.Empty(t, u.PasswordHash.Reveal())
	again, err = h.job(sealing.RowOnly).Run(t.Context(), false)
	require.ErrorIs(t, err, reseal.ErrUnreadable)
	require.Equal(t, []reseal.Row{{Table: "auth.users", Key: "hong1234"}}, again.Unreadable, "nor is it sealed for them")
}

// TestResealingStopsAtWhatDoesNotOpen: a keyring that lacks a key must not make the older form refused.
func TestResealingStopsAtWhatDoesNotOpen(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Column)
	swap(t, h.db[migrations.Bill], "bill_versions", "sealed")
	r, err := h.job(sealing.Row).Run(t.Context(), false)
	require.ErrorIs(t, err, reseal.ErrUnreadable)
	require.Len(t, r.Unreadable, 2)
	require.Equal(t, "bill.bill_versions", r.Unreadable[0].Table)
	form, err := h.job(sealing.Row).Form(t.Context())
	require.NoError(t, err)
	require.Equal(t, sealing.Row, form)
	r, err = h.job(sealing.Row).Run(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, sealing.RowOnly, r.Form)
}

// TestServicesMayOnlyBindUnboundValues: the right to seal history anew is no right to change it.
func TestServicesMayOnlyBindUnboundValues(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Row)
	for db, functions := range map[migrations.Database]map[string]string{
		migrations.Bill:    {"reseal_bill_versions": "bill_versions sealed", "reseal_inquiries": "inquiries line_sealed"},
		migrations.Product: {"reseal_change_orders": "change_orders line_sealed"},
		migrations.KOS: {
			"reseal_call_requests": "kos_calls request_sealed", "reseal_call_answers": "kos_calls answer_sealed",
		},
	} {
		for function, where := range functions {
			table, column, _ := strings.Cut(where, " ")
			pool := h.db[db].Pool
			call := func(value string) int64 {
				var n int64
				require.NoError(
					t, pool.QueryRow(t.Context(), fmt.Sprintf(`SELECT %s(array_agg(id), array_agg(%s), array_agg(%s)) FROM %s`,
						function, column, value, table)).Scan(&n))
				return n
			}
			require.Zero(t, call(`'\x0202'::bytea`), "%s: what is bound stays", function)
			exec(t, h.db[db].Admin, fmt.Sprintf(`UPDATE %s SET %s = '\x0101'`, table, column))
			require.Zero(t, call(`'\x0101'::bytea`), "%s: for what is bound only", function)
			exec(t, h.db[db].Admin, "UPDATE sealing SET form = 1")
			require.Zero(t, call(`'\x0202'::bytea`), "%s: not while the release before reads it", function)
			exec(t, h.db[db].Admin, "UPDATE sealing SET form = 2")
			require.EqualValues(t, 2, call(`'\x0202'::bytea`), function)
		}
		requireDenied(t, func() error {
			_, err := h.db[db].Pool.Exec(t.Context(), "UPDATE sealing SET form = 1")
			return err
		}())
		form := postgres.NewSealingForm(db, h.db[db].Pool)
		require.NoError(t, form.Raise(t.Context(), sealing.RowOnly))
		require.NoError(t, form.Raise(t.Context(), sealing.Column))
		now, err := form.Form(t.Context())
		require.NoError(t, err)
		require.Equal(t, sealing.RowOnly, now, "it does not go back")
	}
}

func TestOneUnreadableNameMarksItsAccountAlone(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Row)
	exec(t, h.db[migrations.Auth].Admin, "UPDATE users SET name_sealed = 'damaged' WHERE user_id = 'kim56789'")
	accounts := postgres.NewAccounts(h.db[migrations.Auth].Pool, h.keys)
	page, total, err := accounts.Search(t.Context(), auth.AccountFilter{Now: noon, Page: 1, Size: 9})
	require.NoError(t, err)
	require.Equal(t, 2, total)
	require.Len(t, page, 2)
	require.Empty(t, page[0].Unreadable)
	require.Equal(t, "홍길동", page[0].Name.Reveal())
	require.Equal(t, []auth.Part{auth.PartName}, page[1].Unreadable)
	require.Empty(t, page[1].Name.Reveal())
	require.Equal(t, portstest.Line(2), page[1].Phone)
	require.Len(t, page[1].Lines, 2)
	require.Equal(t, []string{"auth.users.name"}, h.refused.taken())
}

// TestOneUnreadableLineIsNotPrefetched: the others are fetched, and the next visit of its customer repairs it.
func TestOneUnreadableLineIsNotPrefetched(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Row)
	db := h.db[migrations.KOS]
	exec(t, db.Admin, `UPDATE active_lines SET line_sealed = 'damaged'
		WHERE line_index = (SELECT min(line_index::text)::bytea FROM active_lines)`)
	active := postgres.NewActiveLines(db.Pool, h.keys)
	due, err := active.Due(t.Context(), freshness.Bills, noon, noon.Add(-time.Hour), time.Minute, 9)
	require.NoError(t, err)
	require.Len(t, due, 1)
	require.Equal(t, []string{"kos.active_lines.line"}, h.refused.taken())
	later := noon.Add(time.Hour)
	require.NoError(t, active.NoteActiveLine(t.Context(), freshness.Bills,
		[]line.Number{portstest.Line(1), portstest.Line(2)}, later, later))
	due, err = active.Due(t.Context(), freshness.Bills, later, noon, time.Minute, 9)
	require.NoError(t, err)
	require.Len(t, due, 2)
}

// TestAnUnreadableCopyIsAbsent: KOS can be asked again, and the next copy takes its place.
func TestAnUnreadableCopyIsAbsent(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Row)
	kos, bills := h.db[migrations.KOS], h.db[migrations.Bill]
	exec(t, kos.Admin, "UPDATE customer_copies SET sealed = 'damaged'")
	exec(t, kos.Admin, "UPDATE plan_copies SET sealed = 'damaged'")
	exec(t, bills.Admin, "UPDATE bill_versions SET sealed = 'damaged'")
	c := portstest.BillCopies()[0]
	customers := postgres.NewCustomers(kos.Pool, h.keys, vault.Customers(h.keys))
	for _, look := range []func() error{
		func() error { _, err := customers.Latest(t.Context(), portstest.Line(1)); return err },
		func() error {
			_, err := postgres.NewPlans(kos.Pool, vault.Plans(h.keys)).Latest(t.Context())
			return err
		},
		func() error {
			_, err := postgres.NewBills(bills.Pool, h.keys, vault.Bills(h.keys), &memory.Epochs{}).Latest(t.Context(),
				c.Bill.Line, c.Bill.Month)
			return err
		},
	} {
		require.ErrorIs(t, look(), fault.New(fault.ResourceNotFound))
		require.Len(t, h.refused.taken(), 1)
	}
	require.NoError(t, customers.Put(t.Context(), portstest.CustomerCopies()[0]))
	_, err := customers.Latest(t.Context(), portstest.Line(1))
	require.NoError(t, err)
}

// TestNothingIsWrittenWhileTheFormIsUnknown: neither a hash in the clear nor an audit row without a key.
func TestNothingIsWrittenWhileTheFormIsUnknown(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.RowOnly)
	db := h.db[migrations.Auth]
	before := texts(t, db.Admin, "SELECT password_hash FROM users ORDER BY 1")
	h.keys.Obey(sealing.Unknown)
	away := fault.New(fault.ServiceUnavailable)
	require.ErrorIs(t,
		h.users.Rehash(t.Context(), seconds[0], portstest.Owner().PasswordHash, personal.NewSecret("$argon2id$x")), away)
	other := portstest.Owner()
	other.UserID = "neu12345"
	require.ErrorIs(t, h.users.Create(t.Context(), other), away)
	log := postgres.NewAuditLog(db.Pool, h.keys, id.ID{9}, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, log.Append(t.Context(), audit.Entry{Actor: "admin", Detail: "{}"}), away)
	require.Equal(t, before, texts(t, db.Admin, "SELECT password_hash FROM users ORDER BY 1"))
	require.Zero(t, count(t, db.Admin, "audit_log"))
	h.keys.Obey(sealing.RowOnly)
	require.NoError(t, log.Append(t.Context(), audit.Entry{Actor: "admin", Detail: "{}"}))
	require.Equal(t, 1, count(t, db.Admin, "audit_log"))
}

// meanwhile is a vault that calls a function during its first sealing of a name.
type meanwhile struct {
	ports.Vault
	once *sync.Once
	do   func()
}

func (m meanwhile) Seal(at sealing.Place, clear []byte) ([]byte, error) {
	if at.Name() == "auth.users.name" {
		m.once.Do(m.do)
	}
	return m.Vault.Seal(at, clear)
}

// TestALoginDuringResealingLosesNothing: it changes the hash alone.
func TestALoginDuringResealingLosesNothing(t *testing.T) {
	t.Parallel()
	h := furnish(t, sealing.Column)
	db := h.db[migrations.Auth]
	require.NoError(t, postgres.NewSealingForm(migrations.Auth, db.Pool).Raise(t.Context(), sealing.Row))
	h.keys.Obey(sealing.Row)
	user, fresh := seconds[0], personal.NewSecret("$argon2id$fresh")
	vault := meanwhile{h.keys.Resealing(sealing.Row), &sync.Once{}, func() {
		u, err := h.users.ByID(t.Context(), user)
		require.NoError(t, err)
		require.NoError(t, h.users.Rehash(t.Context(), user, u.PasswordHash, fresh))
	}}
	for _, rows := range postgres.AuthSealed(db.Pool, vault) {
		_, err := rows.Reseal(t.Context(), "", 9)
		require.NoError(t, err)
	}
	require.Empty(t, texts(t, db.Admin, `SELECT user_id FROM users
		WHERE 1 IN (get_byte(name_sealed, 0), get_byte(phone_sealed, 0), get_byte(email_sealed, 0))
			OR password_hash LIKE '$%'`))
	h.keys.Obey(sealing.RowOnly)
	u, err := h.users.ByID(t.Context(), user)
	require.NoError(t, err)
	require.Empty(t, u.Unreadable)
	require.Equal(t, fresh, u.PasswordHash)
}
