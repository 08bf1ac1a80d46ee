package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/adapters/vault"
	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/core/request"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func count(t *testing.T, pool *pgxpool.Pool, table string) (rows int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&rows))
	return rows
}

func keyring(t *testing.T) *vault.Vault {
	t.Helper()
	raw, err := vault.New()
	require.NoError(t, err)
	v, err := vault.Parse(raw)
	require.NoError(t, err)
	return v
}

func sessions(t *testing.T) *postgres.Sessions {
	t.Helper()
	pool := pgtest.New(t, migrations.Auth).Pool
	require.NoError(t, postgres.NewUsers(pool, keyring(t)).Create(t.Context(), portstest.Owner()))
	return postgres.NewSessions(pool)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	portstest.RequestStore(t, func(t *testing.T) (ports.RequestStore, ports.Outbox[ports.RequestResult]) {
		t.Helper()
		s := postgres.NewRequestStore(pgtest.New(t, migrations.Request).Pool, keyring(t), &memory.Alerts{})
		return s, s.Outbox("sample", func(request.Subject) string { return "member-*" })
	})
}

func TestUsers(t *testing.T) {
	t.Parallel()
	portstest.Users(t, func(t *testing.T) ports.Users {
		t.Helper()
		return postgres.NewUsers(pgtest.New(t, migrations.Auth).Pool, keyring(t))
	})
}

func TestGuesses(t *testing.T) {
	t.Parallel()
	portstest.Guesses(t, func(t *testing.T) ports.Guesses {
		t.Helper()
		return postgres.NewGuesses(pgtest.New(t, migrations.Auth).Pool, keyring(t), auth.DefaultLockout())
	})
}

func TestSessions(t *testing.T) {
	t.Parallel()
	portstest.Sessions(t, func(t *testing.T) ports.Sessions { t.Helper(); return sessions(t) })
}

func TestRevocationFeed(t *testing.T) {
	t.Parallel()
	portstest.RevocationFeed(t, func(t *testing.T) (ports.Users, ports.Sessions, ports.SigningKeys, ports.RevocationFeed) {
		t.Helper()
		pool, v := pgtest.New(t, migrations.Auth).Pool, keyring(t)
		return postgres.NewUsers(pool, v), postgres.NewSessions(pool), postgres.NewSigningKeys(pool, v),
			postgres.NewRevocations(pool, auth.DefaultSessions().Access, auth.DefaultKeys())
	})
}

func TestLoginHistory(t *testing.T) {
	t.Parallel()
	portstest.LoginHistory(t, func(t *testing.T) (ports.LoginHistory, func() int) {
		t.Helper()
		pool := pgtest.New(t, migrations.Auth).Pool
		return postgres.NewLoginHistory(pool, keyring(t)), func() int { return count(t, pool, "login_history") }
	})
}

func TestSigningKeys(t *testing.T) {
	t.Parallel()
	portstest.SigningKeys(t, func(t *testing.T) ports.SigningKeys {
		t.Helper()
		return postgres.NewSigningKeys(pgtest.New(t, migrations.Auth).Pool, keyring(t))
	})
}

func TestBills(t *testing.T) {
	t.Parallel()
	portstest.Bills(t, func(t *testing.T) (ports.Bills, ports.Epochs) {
		t.Helper()
		v := keyring(t)
		epochs := postgres.NewEpochs(pgtest.New(t, migrations.KOS).Pool, v)
		return postgres.NewBills(pgtest.New(t, migrations.Bill).Pool, v, vault.Bills(v), epochs), epochs
	})
}

func TestInquiries(t *testing.T) {
	t.Parallel()
	portstest.Inquiries(t, func(t *testing.T) ports.Inquiries {
		t.Helper()
		return postgres.NewInquiries(pgtest.New(t, migrations.Bill).Pool, keyring(t))
	})
}

func TestInquiryKeys(t *testing.T) {
	t.Parallel()
	portstest.IdempotencyKeys(t, func(t *testing.T) ports.IdempotencyKeys {
		t.Helper()
		return postgres.NewIdempotencyKeys(pgtest.New(t, migrations.Bill).Pool, migrations.Bill, keyring(t))
	})
}

func TestKeysOfOrdersAreDroppedWhenTheyAreOld(t *testing.T) {
	t.Parallel()
	db, day := pgtest.New(t, migrations.Product), portstest.Month().First()
	orders, keys := postgres.NewOrders(db.Pool, keyring(t)),
		postgres.NewIdempotencyKeys(db.Pool, migrations.Product, keyring(t))
	key, err := request.ParseKey("k")
	require.NoError(t, err)
	use := request.KeyUse{User: "hong", Key: key, Request: id.ID{1}, At: day.Start()}
	o := product.Order{ID: id.ID{1}, UserID: "hong", Line: portstest.Line(1), EffectiveDate: day, State: product.Requested}
	require.NoError(t, orders.Add(t.Context(), o, use))
	for _, want := range []int{1, 0} {
		n, err := keys.Forget(t.Context(), use.At.Add(time.Second), 10)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	_, err = orders.Used(t.Context(), use, use.At)
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}

func TestBillOutbox(t *testing.T) {
	t.Parallel()
	portstest.Outbox(t, func(t *testing.T) portstest.OutboxFixture[ports.BillResult] {
		t.Helper()
		pool, v := pgtest.New(t, migrations.Bill).Pool, keyring(t)
		s := vault.Bills(v)
		return portstest.BillOutbox(postgres.NewBillOutbox(pool, v, s), postgres.NewBills(pool, v, s, nil),
			postgres.NewInquiries(pool, v))
	})
}

func TestOrders(t *testing.T) {
	t.Parallel()
	portstest.Orders(t, func(t *testing.T) ports.Orders {
		t.Helper()
		return postgres.NewOrders(pgtest.New(t, migrations.Product).Pool, keyring(t))
	})
}

func TestChangeOutbox(t *testing.T) {
	t.Parallel()
	portstest.Outbox(t, func(t *testing.T) portstest.OutboxFixture[ports.ChangeResult] {
		t.Helper()
		pool, v := pgtest.New(t, migrations.Product).Pool, keyring(t)
		return portstest.ChangeOutbox(postgres.NewChangeOutbox(pool, v), postgres.NewOrders(pool, v))
	})
}

func TestParkedOrders(t *testing.T) {
	t.Parallel()
	portstest.ParkedOrders(t, func(t *testing.T) portstest.Parking {
		t.Helper()
		pool, v := pgtest.New(t, migrations.Product).Pool, keyring(t)
		return portstest.Parking{
			Parked: postgres.NewParkedOrders(pool, v), Orders: postgres.NewOrders(pool, v),
			Outbox: postgres.NewChangeOutbox(pool, v),
		}
	})
}

func TestReconciliationSource(t *testing.T) {
	t.Parallel()
	portstest.ReconciliationSource(t, func(t *testing.T) portstest.Reconciliation {
		t.Helper()
		pool, v := pgtest.New(t, migrations.Product).Pool, keyring(t)
		return portstest.Reconciliation{
			Source: postgres.NewReconciliationSource(pool, v), Orders: postgres.NewOrders(pool, v),
			Outbox: postgres.NewChangeOutbox(pool, v),
		}
	})
}

func TestReconciliationRuns(t *testing.T) {
	t.Parallel()
	portstest.ReconciliationRuns(t, func(t *testing.T) portstest.Running {
		t.Helper()
		pool, v := pgtest.New(t, migrations.Product).Pool, keyring(t)
		return portstest.Running{Runs: postgres.NewReconciliationRuns(pool, v), Orders: postgres.NewOrders(pool, v)}
	})
}

func TestNotices(t *testing.T) {
	t.Parallel()
	portstest.Notices(t, func(t *testing.T) (ports.Notices, ports.Orders) {
		t.Helper()
		pool, v := pgtest.New(t, migrations.Product).Pool, keyring(t)
		return postgres.NewNotices(pool, v), postgres.NewOrders(pool, v)
	})
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	portstest.Customers(t, func(t *testing.T) (ports.Customers, ports.Epochs) {
		t.Helper()
		pool, v := pgtest.New(t, migrations.KOS).Pool, keyring(t)
		return postgres.NewCustomers(pool, v, vault.Customers(v)), postgres.NewEpochs(pool, v)
	})
}

func TestBillMonths(t *testing.T) {
	t.Parallel()
	portstest.BillMonths(t, func(t *testing.T) ports.BillMonths {
		t.Helper()
		v := keyring(t)
		return postgres.NewBillMonths(pgtest.New(t, migrations.KOS).Pool, v, vault.BillMonths(v))
	})
}

func TestPlans(t *testing.T) {
	t.Parallel()
	portstest.Plans(t, func(t *testing.T) ports.Plans {
		t.Helper()
		return postgres.NewPlans(pgtest.New(t, migrations.KOS).Pool, vault.Plans(keyring(t)))
	})
}

func TestEpochs(t *testing.T) {
	t.Parallel()
	portstest.Epochs(t, func(t *testing.T) ports.Epochs {
		t.Helper()
		return postgres.NewEpochs(pgtest.New(t, migrations.KOS).Pool, keyring(t))
	})
	portstest.RaisedEpochs(t, func(t *testing.T) (ports.Epochs, ports.RaisedEpochs, ports.Vault) {
		t.Helper()
		v := keyring(t)
		epochs := postgres.NewEpochs(pgtest.New(t, migrations.KOS).Pool, v)
		return epochs, epochs, v
	})
}

// threeInstances share one ledger.
func threeInstances(t *testing.T, w quota.Window) []ports.Quota {
	t.Helper()
	pool := pgtest.New(t, migrations.KOS).Pool
	var all []ports.Quota
	for range 3 {
		all = append(all, postgres.NewQuota(pool, w, postgres.Floor{}, &memory.Alerts{}, time.Now))
	}
	return all
}

func TestQuota(t *testing.T) {
	t.Parallel()
	portstest.Quota(t, threeInstances)
	portstest.QuotaLanes(t, threeInstances)
}

func TestCallLog(t *testing.T) {
	t.Parallel()
	portstest.CallLog(t, func(t *testing.T) (ports.CallLog, func() []audit.Call) {
		t.Helper()
		pool := pgtest.New(t, migrations.KOS).Pool
		return postgres.NewCallLog(pool, keyring(t)), func() []audit.Call {
			rows, err := pool.Query(t.Context(), "SELECT id, operation, attempt, breaker, result, http_status FROM kos_calls")
			require.NoError(t, err)
			kept, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c audit.Call, err error) {
				return c, row.Scan((*uuid.UUID)(&c.ID), &c.Operation, &c.Attempt, &c.Breaker, &c.Result, &c.HTTPStatus)
			})
			require.NoError(t, err)
			return kept
		}
	})
}

func TestSecondFactors(t *testing.T) {
	t.Parallel()
	portstest.SecondFactors(t, func(t *testing.T) (ports.SecondFactors, ports.Users) {
		t.Helper()
		pool, keys := pgtest.New(t, migrations.Auth).Pool, keyring(t)
		users := postgres.NewUsers(pool, keys)
		require.NoError(t, users.Create(t.Context(), portstest.Owner()))
		return postgres.NewSecondFactors(pool, keys), users
	})
}

func TestActiveLines(t *testing.T) {
	t.Parallel()
	portstest.ActiveLines(t, func(t *testing.T) ports.ActiveLines {
		t.Helper()
		return postgres.NewActiveLines(pgtest.New(t, migrations.KOS).Pool, keyring(t))
	})
}

func TestBindings(t *testing.T) {
	t.Parallel()
	portstest.Bindings(t, func(t *testing.T) ports.Bindings {
		t.Helper()
		return postgres.NewBindings(pgtest.New(t, migrations.KOS).Pool, keyring(t))
	})
}

func TestMaintenance(t *testing.T) {
	t.Parallel()
	portstest.Maintenance(t, func(t *testing.T) ports.MaintenanceSwitch {
		t.Helper()
		return postgres.NewMaintenance(pgtest.New(t, migrations.Auth).Pool)
	})
}

func TestServiceKeys(t *testing.T) {
	t.Parallel()
	portstest.ServiceKeys(t, func(t *testing.T) ports.ServiceKeys {
		t.Helper()
		return postgres.NewServiceKeys(pgtest.New(t, migrations.Auth).Pool)
	})
}

func TestFlights(t *testing.T) {
	t.Parallel()
	portstest.Flights(t, func(t *testing.T) (one, other ports.Flights, pass func(time.Duration)) {
		t.Helper()
		pool, keys := pgtest.New(t, migrations.KOS).Pool, keyring(t)
		return postgres.NewFlights(pool, keys, time.Now), postgres.NewFlights(pool, keys, time.Now),
			func(d time.Duration) { <-time.After(d) }
	})
}

func TestFlightsAreForgotten(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, migrations.KOS).Pool
	f := postgres.NewFlights(pool, keyring(t), time.Now)
	for i := range 3 {
		key := personal.NewSecret(portstest.Line(i).Digits())
		_, err := f.Begin(t.Context(), freshness.Subject{Kind: freshness.Customers, Key: key}, time.Minute)
		require.NoError(t, err)
	}
	require.NoError(t, f.Forget(t.Context()))
	require.Equal(t, 3, count(t, pool, "flights"))
	_, err := pool.Exec(t.Context(),
		"UPDATE flights SET until = until - interval '11 minutes 1 second' WHERE ctid IN (SELECT ctid FROM flights LIMIT 2)")
	require.NoError(t, err)
	require.NoError(t, f.Forget(t.Context()))
	require.Equal(t, 1, count(t, pool, "flights"))
}
