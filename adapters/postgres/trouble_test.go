package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/bill"
	"phonebill/core/delivery"
	"phonebill/core/delivery/dispatch"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/core/sealing"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

var noon = time.Date(2026, 3, 2, 3, 4, 5, 0, time.UTC)

func inquiry(n byte) bill.Inquiry {
	return bill.Inquiry{
		ID: id.ID{n}, UserID: "hong1234", Line: portstest.Line(int(n)), Month: portstest.Month(), Status: bill.Processing,
		RequestedAt: noon, NextAttemptAt: noon,
	}
}

func order(n byte) product.Order {
	return product.Order{
		ID: id.ID{n}, TransactionID: id.ID{n}, UserID: "hong1234", Line: portstest.Line(int(n)),
		EffectiveDate: portstest.Month().First(), State: product.Requested, RequestedAt: noon, NextAttemptAt: noon,
	}
}

// calls returns all operations of all stores, on one vault and four pools. Reads ask for what writes have stored.
func calls(
	ctx context.Context, v ports.Vault, authDB, billDB, productDB, kosDB *pgxpool.Pool,
) (writes, reads map[string]func() error) {
	users, guesses := postgres.NewUsers(authDB, v), postgres.NewGuesses(authDB, v, auth.DefaultLockout())
	sessions, keys := postgres.NewSessions(authDB), postgres.NewSigningKeys(authDB, v)
	epochs := postgres.NewEpochs(kosDB, v)
	bills, inquiries := postgres.NewBills(billDB, v, vault.Bills(v), epochs), postgres.NewInquiries(billDB, v)
	orders := postgres.NewOrders(productDB, v)
	customers, plans := postgres.NewCustomers(kosDB, v, vault.Customers(v)), postgres.NewPlans(kosDB, vault.Plans(v))
	copies := portstest.BillCopies()
	billMail, changeMail := postgres.NewBillOutbox(billDB, v, vault.Bills(v)), postgres.NewChangeOutbox(productDB, v)
	finalOrder := order(1)
	finalOrder.State, finalOrder.ProcessedAt = product.Completed, noon
	same := func(s auth.Session) auth.Session { return s }
	writes = map[string]func() error{
		"create user": func() error { return users.Create(ctx, portstest.Owner()) },
		"add key": func() error {
			return keys.AddFirst(ctx, auth.SigningKey{KeyID: "k", Seed: personal.NewSecret("s"), CreatedAt: noon})
		},
		"put bill":     func() error { return bills.Put(ctx, copies[0]) },
		"add inquiry":  func() error { return inquiries.Add(ctx, inquiry(1)) },
		"add answered": func() error { return inquiries.Add(ctx, inquiry(2).Complete(copies[0], freshness.FromKOS, noon)) },
		"add order": func() error {
			return errors.Join(orders.Add(ctx, order(1), request.KeyUse{}), orders.Add(ctx, order(2), request.KeyUse{}))
		},
		"finish order":  func() error { _, err := orders.Save(ctx, finalOrder, noon); return err },
		"list parked":   func() error { _, _, err := postgres.NewParkedOrders(productDB, v).List(ctx, 1, 9); return err },
		"tell customer": func() error { return postgres.NewNotices(productDB, v).Notified(ctx, product.Notice{}, noon) },
		"put customer":  func() error { return customers.Put(ctx, portstest.CustomerCopies()[0]) },
		"put months": func() error {
			return postgres.NewBillMonths(kosDB, v, vault.BillMonths(v)).Put(ctx, portstest.MonthsCopies()[0])
		},
		"put plans": func() error { return plans.Put(ctx, portstest.PlansCopies()[0]) },
		"log call": func() error {
			return postgres.NewCallLog(kosDB, v).Append(ctx, audit.Call{Request: []byte("x")})
		},
		"append login": func() error { return postgres.NewLoginHistory(authDB, v).Append(ctx, auth.LoginEvent{At: noon}) },
		"saw login":    func() error { return users.RecordLogin(ctx, "hong1234", noon) },
		"rehash": func() error {
			return users.Rehash(ctx, "hong1234", personal.NewSecret("w"), personal.NewSecret("x"))
		},
		"take guess": func() error { _, err := guesses.Take(ctx, auth.Subject{UserID: "x"}, noon); return err },
		"fail guess": func() error {
			_, err := guesses.Fail(ctx, auth.Subject{UserID: "x"}, auth.Guess{}, noon)
			return err
		},
		"succeed guess":   func() error { return guesses.Succeed(ctx, auth.Subject{UserID: "x"}, auth.Guess{}, noon) },
		"give guess back": func() error { return guesses.GiveBack(ctx, auth.Subject{UserID: "x"}, auth.Guess{}) },
		"peek guess":      func() error { _, err := guesses.Peek(ctx, auth.Subject{UserID: "x"}); return err },
		"clear guesses":   func() error { return guesses.Clear(ctx, "x") },
		"sweep guesses":   func() error { _, err := guesses.Sweep(ctx, noon, noon, 10); return err },
		"sweep sessions":  func() error { _, err := sessions.Sweep(ctx, noon, 10); return err },
		"add service key": func() error {
			return postgres.NewServiceKeys(authDB).Add(ctx, auth.ServiceKey{Service: "x", CreatedAt: noon})
		},
		"read maintenance": func() error { _, err := postgres.NewMaintenance(authDB).Current(ctx); return err },
		"end maintenance":  func() error { return postgres.NewMaintenance(authDB).Set(ctx, operations.Maintenance{}) },
		"set maintenance": func() error {
			return postgres.NewMaintenance(authDB).Set(ctx, operations.Maintenance{By: "x"})
		},
		"list service keys":  func() error { _, err := postgres.NewServiceKeys(authDB).List(ctx); return err },
		"retire service key": func() error { return postgres.NewServiceKeys(authDB).Retire(ctx, auth.KeyHash{}, noon) },
		"create session": func() error {
			_, err := sessions.Create(ctx, auth.Session{UserID: "nobody"}, auth.DefaultSessions())
			return err
		},
		"get session":    func() error { _, err := sessions.Get(ctx, id.ID{}); return err },
		"change session": func() error { _, err := sessions.Change(ctx, id.ID{}, same); return err },
		"revocations": func() error {
			_, err := postgres.NewRevocations(authDB, time.Minute, auth.DefaultKeys()).Since(ctx, noon)
			return err
		},
		"add next key": func() error {
			return keys.AddNext(ctx, auth.SigningKey{KeyID: "n", Seed: personal.NewSecret("s"), CreatedAt: noon}, "")
		},
		"retire key":  func() error { return keys.Retire(ctx, "k", noon) },
		"raise epoch": func() error { return epochs.Raise(ctx, portstest.Line(9), noon) },
		"epoch":       func() error { _, err := epochs.Of(ctx, portstest.Line(1)); return err },
		"epochs":      func() error { _, _, err := epochs.Raised(ctx, noon); return err },
		"quota": func() error {
			return postgres.NewQuota(kosDB, quota.Default(), postgres.Floor{}, &memory.Alerts{}, time.Now).Take(ctx, quota.Read)
		},
		"ping": func() error { return postgres.Ping(authDB)(ctx) },
		"settle bill": func() error {
			return billMail.Settle(ctx, noon, delivery.AttemptResult{State: delivery.Pending})
		},
		"settle change": func() error {
			return changeMail.Settle(ctx, noon, delivery.AttemptResult{State: delivery.Pending})
		},
		"resolve order": func() error {
			_, err := postgres.NewParkedOrders(productDB, v).Resolve(ctx, id.ID{2},
				product.Resolution{Outcome: product.OutcomeFailed}, nil)
			return err
		},
		"save inquiry": func() error { return inquiries.Save(ctx, inquiry(9)) },
	}
	reads = map[string]func() error{
		"user": func() error { _, err := users.ByID(ctx, "hong1234"); return err },
		"keys": func() error { _, err := keys.List(ctx); return err },
		"bill": func() error { _, err := bills.Latest(ctx, portstest.Line(1), portstest.Month()); return err },
		"bill version": func() error {
			_, err := bills.Version(ctx, portstest.Line(1), portstest.Month(), copies[0].Version)
			return err
		},
		"inquiry":         func() error { _, err := inquiries.Get(ctx, id.ID{1}); return err },
		"claim inquiries": func() error { _, err := inquiries.Claim(ctx, noon, time.Minute, 9); return err },
		"bill results":    func() error { return readable(billMail.Claim(ctx, noon, time.Minute, 9, 9)) },
		"order":           func() error { _, err := orders.Get(ctx, id.ID{2}); return err },
		"claim notices": func() error {
			_, err := postgres.NewNotices(productDB, v).Claim(ctx, noon, time.Minute, 9)
			return err
		},
		"live order":   func() error { _, err := orders.Live(ctx, portstest.Line(2)); return err },
		"claim orders": func() error { _, err := orders.Claim(ctx, product.New, noon, time.Minute, 9); return err },
		"customer":     func() error { _, err := customers.Latest(ctx, portstest.Line(1)); return err },
		"plans":        func() error { _, err := plans.Latest(ctx); return err },
		"history of inquiries": func() error {
			f := bill.HistoryFilter{UserID: "hong1234", Lines: portstest.Owner().Lines, Page: 1, Size: 9}
			_, _, err := inquiries.History(ctx, f)
			return err
		},
		"history of orders": func() error {
			f := product.HistoryFilter{UserID: "hong1234", Lines: portstest.Owner().Lines, Page: 1, Size: 9}
			_, _, err := orders.History(ctx, f)
			return err
		},
		"change results": func() error { return readable(changeMail.Claim(ctx, noon, time.Minute, 9, 9)) },
	}
	return writes, reads
}

// readable returns an error when a claimed event cannot be opened: such are handed out to be parked.
func readable[T any](claimed [][]delivery.Item[T], err error) error {
	for _, batch := range claimed {
		for _, i := range batch {
			if i.Unreadable != nil && i.Unreadable.Outcome == delivery.Rejected {
				return errors.New(i.Unreadable.Note)
			}
		}
	}
	return err
}

// TestDatabaseDown: every operation returns SERVICE_UNAVAILABLE with a Retry-After.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Pool(t.Context(), "postgres://u:p@127.0.0.1:1/x?sslmode=disable", postgres.PoolConfig{})
	require.NoError(t, err)
	defer pool.Close()
	writes, reads := calls(t.Context(), keyring(t), pool, pool, pool, pool)
	for _, all := range []map[string]func() error{writes, reads} {
		for name, call := range all {
			err := call()
			require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable), name)
			require.Positive(t, fault.From(err).RetryAfter(), name)
		}
	}
	require.ErrorIs(t, writes["quota"](), ports.ErrNotAsked, "who cannot ask for a place does not call")
}

// TestAnotherKeyringReadsNothing: rows of a lost keyring are errors, never empty or foreign values.
func TestAnotherKeyringReadsNothing(t *testing.T) {
	t.Parallel()
	authDB, billDB := pgtest.New(t, migrations.Auth).Pool, pgtest.New(t, migrations.Bill).Pool
	productDB, kosDB := pgtest.New(t, migrations.Product).Pool, pgtest.New(t, migrations.KOS).Pool
	right := keyring(t)
	writes, reads := calls(t.Context(), right, authDB, billDB, productDB, kosDB)
	sealed := []string{"create user", "add key", "put bill", "add inquiry", "add answered", "add order", "put customer",
		"put plans"}
	for _, name := range sealed {
		require.NoError(t, writes[name](), name)
	}
	require.NoError(t, writes["finish order"]())
	_, wrong := calls(t.Context(), blind{right}, authDB, billDB, productDB, kosDB)
	for _, survives := range []string{"claim inquiries", "claim orders", "history of inquiries", "history of orders"} {
		require.NoError(t, wrong[survives](), "%s: TestOneUnreadableRow…", survives)
		delete(wrong, survives)
	}
	user, err := postgres.NewUsers(authDB, blind{right}).ByID(t.Context(), "hong1234")
	require.NoError(t, err, "what can be read of an account is shown")
	require.Equal(t, []auth.Part{auth.PartName, auth.PartPhone, auth.PartEmail, auth.PartLines, auth.PartPassword},
		user.Unreadable)
	require.Empty(t, user.Lines)
	delete(wrong, "user")
	for _, missing := range []string{"bill", "bill version", "customer", "plans"} {
		require.ErrorIs(t, wrong[missing](), fault.New(fault.ResourceNotFound), missing)
		delete(wrong, missing)
	}
	for name, read := range wrong {
		err := read()
		require.Error(t, err, name)
		require.Equal(t, fault.Internal, fault.From(err).Kind(), "%s: %v", name, err)
	}
	for name, read := range reads {
		require.NoError(t, read(), name)
	}
	sealing, _ := calls(t.Context(), broken{right}, authDB, billDB, productDB, kosDB)
	for _, name := range append(sealed, "save inquiry", "log call") {
		require.ErrorIs(t, sealing[name](), errBroken, name)
	}
}

var errBroken = errors.New("broken")

// blind opens nothing; broken seals nothing.
type (
	blind  struct{ ports.Vault }
	broken struct{ ports.Vault }
)

func (blind) Open(sealing.Place, []byte) ([]byte, error)  { return nil, errBroken }
func (broken) Seal(sealing.Place, []byte) ([]byte, error) { return nil, errBroken }

func TestAnUnlimitedQuotaUsesNoLedger(t *testing.T) {
	t.Parallel()
	unlimited := postgres.NewQuota(nil, quota.Unlimited(), postgres.Floor{}, &memory.Alerts{}, time.Now)
	for range 1000 {
		require.NoError(t, unlimited.Take(t.Context(), quota.Read))
	}
}

// TestTheFloorIsAllWithoutTheLedger: an instance without the ledger spends the floor that it holds and no more, from
// one window after the grant until the lease ends; one that holds none spends nothing.
func TestTheFloorIsAllWithoutTheLedger(t *testing.T) {
	t.Parallel()
	db, alerts := pgtest.New(t, migrations.KOS), &memory.Alerts{}
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	window := quota.Window{Budget: 10, Per: time.Minute}
	floor := postgres.Floor{Instances: 3, Calls: 2, Lease: 4 * time.Minute}
	open := func() *postgres.Quota {
		return postgres.NewQuota(db.Pool, window, floor, alerts, func() time.Time { return now })
	}
	q, without := open(), open()
	held, err := q.RenewFloor(t.Context())
	require.NoError(t, err)
	require.True(t, held)
	require.Equal(t, 2, q.Usage(t.Context()).Leased)
	db.Pool.Close()

	take := func() error { return q.Take(t.Context(), quota.Change) }
	err = take()
	require.ErrorIs(t, err, ports.ErrNotAsked, "the ledger may just have spent it")
	require.Equal(t, time.Minute, fault.From(err).RetryAfter())
	for range 2 {
		now = now.Add(time.Minute)
		require.NoError(t, take())
		require.NoError(t, take())
		err := take()
		require.ErrorIs(t, err, ports.ErrNotAsked)
		require.Equal(t, time.Minute, fault.From(err).RetryAfter())
		require.ErrorIs(t, without.Take(t.Context(), quota.Change), ports.ErrNotAsked, "it holds no lease")
	}
	require.Len(t, alerts.Raised(), 2, "one alert for an outage, of each instance")
	require.Equal(t, operations.LedgerAway, alerts.Raised()[0].Kind)
	hungUp, cancel := context.WithCancel(t.Context())
	cancel()
	now = now.Add(time.Minute)
	require.Error(t, q.Take(hungUp, quota.Change), "a caller who hung up spends nothing")
	require.NoError(t, take())
	_, err = q.RenewFloor(t.Context())
	require.Error(t, err)
	require.NoError(t, take(), "a renewal that fails takes nothing away")

	now = now.Add(time.Minute)
	require.ErrorIs(t, take(), ports.ErrNotAsked, "the lease is over")
	require.Zero(t, q.Usage(t.Context()).Floor)
}

// TestLedgerIsSwept: entries older than every window are deleted.
func TestLedgerIsSwept(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.KOS)
	_, err := db.Pool.Exec(t.Context(),
		"INSERT INTO quota_ledger (spent_at) SELECT now() - i * interval '5 min' FROM generate_series(1, 9) i")
	require.NoError(t, err)
	q := postgres.NewQuota(db.Pool, quota.Window{Budget: 1, Per: time.Minute}, postgres.Floor{}, &memory.Alerts{},
		time.Now)
	require.NoError(t, q.Take(t.Context(), quota.Read))
	require.Equal(t, 2, count(t, db.Pool, "quota_ledger"), "this one and that of 5 minutes ago")
}

// TestAResultWithoutItsBillWaits: it is put off by the rule of failed attempts and in the end parked; other lines go
// on.
func TestAResultWithoutItsBillWaits(t *testing.T) {
	t.Parallel()
	db, v := pgtest.New(t, migrations.Bill), keyring(t)
	inquiries, bills := postgres.NewInquiries(db.Pool, v), postgres.NewBills(db.Pool, v, vault.Bills(v), nil)
	outbox := postgres.NewBillOutbox(db.Pool, v, vault.Bills(v))
	lost, kept := portstest.BillCopies()[0], portstest.BillCopies()[1]
	require.NoError(t, bills.Put(t.Context(), kept))
	require.NoError(t, inquiries.Add(t.Context(), inquiry(1).Complete(lost, freshness.FromCache, noon)))
	require.NoError(t, inquiries.Add(t.Context(), inquiry(2).Complete(kept, freshness.FromCache, noon)))
	require.NoError(t, inquiries.Add(t.Context(), inquiry(3).Fail(fault.BillNotFound, noon)))
	verdicts := map[id.ID]*delivery.Attempt{}
	claimed, err := outbox.Claim(t.Context(), noon, time.Second, 9, 9)
	require.NoError(t, err)
	for _, batch := range claimed {
		for _, i := range batch {
			verdicts[i.ID] = i.Unreadable
			require.Equal(t, i.ID == id.ID{2}, i.Body.Bill != nil)
		}
	}
	require.Equal(t, map[id.ID]*delivery.Attempt{
		{1}: {Outcome: delivery.Failed, Note: "the bill version is not there"}, {2}: nil, {3}: nil,
	}, verdicts)
}

// TestAResultThatCannotBeOpenedIsParkedAlone: neither its line nor any other waits for it.
func TestAResultThatCannotBeOpenedIsParkedAlone(t *testing.T) {
	t.Parallel()
	db, v := pgtest.New(t, migrations.Bill), keyring(t)
	inquiries, bills := postgres.NewInquiries(db.Pool, v), postgres.NewBills(db.Pool, v, vault.Bills(v), nil)
	garbled, kept := portstest.BillCopies()[0], portstest.BillCopies()[1]
	require.NoError(t, bills.Put(t.Context(), garbled))
	require.NoError(t, bills.Put(t.Context(), kept))
	require.NoError(t, inquiries.Add(t.Context(), inquiry(1).Complete(garbled, freshness.FromCache, noon)))
	require.NoError(t, inquiries.Add(t.Context(), inquiry(2).Complete(kept, freshness.FromCache, noon)))
	third := inquiry(3)
	third.Line = kept.Bill.Line
	require.NoError(t, inquiries.Add(t.Context(), third.Complete(kept, freshness.FromCache, noon)))
	for _, break1 := range []string{
		"UPDATE bill_versions SET sealed = 'x' WHERE id = '" + garbled.Version.String() + "'",
		"UPDATE inquiries SET line_sealed = 'x' WHERE id = '" + id.ID{2}.String() + "'",
	} {
		_, err := db.Admin.Exec(t.Context(), break1)
		require.NoError(t, err)
	}
	outbox, publisher, alerts := postgres.NewBillOutbox(db.Pool, v, vault.Bills(v)), &memory.Publisher[ports.BillResult]{},
		&memory.Alerts{}
	d := &dispatch.Service[ports.BillResult]{
		Outbox: outbox, Publisher: publisher, Now: func() time.Time { return noon }, Random: func() float64 { return 0 },
		Alerts: alerts, Lease: time.Minute, Attempt: time.Second, Lines: 9, EventsPerLine: 9,
	}
	_, err := d.Step(t.Context())
	require.NoError(t, err)
	require.Len(t, publisher.Published(), 1)
	require.Equal(t, id.ID{3}, publisher.Published()[0].ID)
	require.Len(t, alerts.Raised(), 2)
	require.ElementsMatch(t,
		[]string{"PARKED the stored bill cannot be opened", "PARKED the stored inquiry cannot be opened", "DELIVERED "},
		texts(t, db.Admin, "SELECT state || ' ' || note FROM delivery_attempts"))
	page, _, err := outbox.List(t.Context(), delivery.Filter{State: delivery.Parked, Page: 1, Size: 9})
	require.NoError(t, err)
	require.Len(t, page, 2)
	require.Empty(t, page[0].Line)
}

// TestClaimsAreSerialised: during a claim another one waits instead of taking a line's second-oldest for its oldest.
func TestClaimsAreSerialised(t *testing.T) {
	t.Parallel()
	v := keyring(t)
	for db, claim := range map[migrations.Database]func(ctx context.Context, pool *pgxpool.Pool) error{
		migrations.Product: func(ctx context.Context, pool *pgxpool.Pool) error {
			_, err := postgres.NewChangeOutbox(pool, v).Claim(ctx, noon, time.Minute, 1, 1)
			return err
		},
		migrations.Bill: func(ctx context.Context, pool *pgxpool.Pool) error {
			_, err := postgres.NewBillOutbox(pool, v, vault.Bills(v)).Claim(ctx, noon, time.Minute, 1, 1)
			return err
		},
	} {
		pool := pgtest.New(t, db).Pool
		first, err := pool.Begin(t.Context())
		require.NoError(t, err)
		defer func() { _ = first.Rollback(context.Background()) }() // or a failed test would wait for its own connection
		_, err = first.Exec(t.Context(), "SELECT pg_advisory_xact_lock(hashtext('phonebill.deliveries'))")
		require.NoError(t, err)
		impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		require.ErrorIs(t, claim(impatient, pool), fault.New(fault.ServiceUnavailable))
		cancel()
		require.NoError(t, first.Rollback(t.Context()))
		require.NoError(t, claim(t.Context(), pool))
	}
}

// TestARepeatedOrderIsNotALiveOne: only another live order is CHANGE_IN_PROGRESS; the same transaction twice is our own
// mistake.
func TestARepeatedOrderIsNotALiveOne(t *testing.T) {
	t.Parallel()
	orders := postgres.NewOrders(pgtest.New(t, migrations.Product).Pool, keyring(t))
	o := order(1)
	require.NoError(t, orders.Add(t.Context(), o, request.KeyUse{}))
	done := o
	done.State, done.ProcessedAt = product.Completed, noon
	_, err := orders.Save(t.Context(), done, noon)
	require.NoError(t, err)
	for _, again := range []product.Order{o, {
		ID: id.ID{7}, TransactionID: o.TransactionID, Line: o.Line, EffectiveDate: o.EffectiveDate, State: product.Requested,
		RequestedAt: noon, NextAttemptAt: noon,
	}} {
		err := orders.Add(t.Context(), again, request.KeyUse{})
		require.Equal(t, fault.InternalServerError, fault.From(err).Code(), err)
	}
}
