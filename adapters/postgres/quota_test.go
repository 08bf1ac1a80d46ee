package postgres_test

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/devservers"
	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/operations"
	"phonebill/core/quota"
	"phonebill/migrations"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

// TestClocksOfInstancesDoNotMatter runs the suite with local clocks that jump by hours: only the database's clock is
// read.
func TestClocksOfInstancesDoNotMatter(t *testing.T) {
	t.Parallel()
	portstest.Quota(t, func(t *testing.T, w quota.Window) []ports.Quota {
		t.Helper()
		pool := pgtest.New(t, migrations.KOS).Pool
		mad := func() time.Time { return time.Now().Add(time.Duration(rand.Int64N(int64(4*time.Hour))) - 2*time.Hour) }
		var all []ports.Quota
		for range 4 {
			all = append(all, postgres.NewQuota(pool, w, postgres.Floor{}, &memory.Alerts{}, mad))
		}
		return all
	})
}

// TestALostInstanceLosesPlacesAndWinsNone: what it took before it was lost stays taken, and what it was taking may be.
func TestALostInstanceLosesPlacesAndWinsNone(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.KOS)
	window := quota.Window{Budget: 60, Per: time.Hour}
	lost, err := postgres.Pool(t.Context(), db.URL, postgres.PoolConfig{MaxConns: 4})
	require.NoError(t, err)
	victim := postgres.NewQuota(lost, window, postgres.Floor{}, &memory.Alerts{}, time.Now)
	for range 10 {
		require.NoError(t, victim.Take(t.Context(), quota.Read)) // and never calls
	}
	var taken sync.WaitGroup
	for range 4 {
		taken.Go(func() {
			for range 5 {
				_ = victim.Take(t.Context(), quota.Read) // some end in the middle
			}
		})
	}
	_, err = db.Pool.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()`)
	require.NoError(t, err)
	taken.Wait()
	lost.Close()
	before := count(t, db.Pool, "quota_ledger")
	require.GreaterOrEqual(t, before, 10)
	heir, admitted := postgres.NewQuota(db.Pool, window, postgres.Floor{}, &memory.Alerts{}, time.Now), 0
	for heir.Take(t.Context(), quota.Read) == nil {
		admitted++
	}
	require.Equal(t, window.Budget-before, admitted)
}

// TestALedgerThatHangsIsAway: one that holds its lock does not stop the floors, and alerts say when it hangs and when
// it is back.
func TestALedgerThatHangsIsAway(t *testing.T) {
	t.Parallel()
	db, alerts := pgtest.New(t, migrations.KOS), &memory.Alerts{}
	start, passed := time.Now(), time.Duration(0)
	q := postgres.NewQuota(db.Pool, quota.Window{Budget: 10, Per: time.Minute},
		postgres.Floor{Instances: 1, Calls: 1, Lease: time.Hour}, alerts, func() time.Time { return start.Add(passed) })
	held, err := q.RenewFloor(t.Context())
	require.NoError(t, err)
	require.True(t, held)
	hung, err := db.Pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = hung.Exec(t.Context(), "SELECT pg_advisory_xact_lock(hashtext('phonebill.quota_ledger'))")
	require.NoError(t, err)
	passed = time.Minute
	require.NoError(t, q.Take(t.Context(), quota.Read), "the floor")
	impatient, cancel := context.WithTimeout(t.Context(), time.Second) // half of ledgerTimeout
	defer cancel()
	for range 50 {
		err := q.Take(impatient, quota.Read)
		require.ErrorIs(t, err, ports.ErrNotAsked)
		require.ErrorContains(t, err, "just hung")
	}
	require.True(t, q.Usage(t.Context()).Ledger, "Usage needs no lock")
	require.NoError(t, hung.Rollback(t.Context()))
	require.ErrorIs(t, q.Take(t.Context(), quota.Read), ports.ErrNotAsked, "it is left alone for a while")
	passed += 5 * time.Second
	require.NoError(t, q.Take(t.Context(), quota.Read))
	require.NoError(t, q.Take(t.Context(), quota.Read))
	var kinds []operations.AlertKind
	for _, a := range alerts.Raised() {
		kinds = append(kinds, a.Kind)
	}
	require.Equal(t, []operations.AlertKind{operations.LedgerAway, operations.LedgerBack}, kinds, "once each")
}

func TestUsageOfTheQuota(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, migrations.KOS)
	window := quota.Window{Budget: 20, Per: time.Hour, Reserve: quota.Shares{quota.Change: 4}}
	open := func() *postgres.Quota {
		floor := postgres.Floor{Instances: 2, Calls: 3, Lease: time.Hour}
		return postgres.NewQuota(db.Pool, window, floor, &memory.Alerts{}, time.Now)
	}
	one, other := open(), open()
	for _, q := range []*postgres.Quota{one, other} {
		held, err := q.RenewFloor(t.Context())
		require.NoError(t, err)
		require.True(t, held)
	}
	var until time.Time
	require.NoError(t, db.Pool.QueryRow(t.Context(), "SELECT min(expires_at) FROM floor_leases").Scan(&until))
	used := func(q *postgres.Quota) operations.Quota { return q.Usage(t.Context()) }
	want := operations.Quota{
		Window: window.Less(6), Budget: 14, Ledger: true, Leased: 6, Floor: operations.Floor{Calls: 3, Until: until.UTC()},
	}
	require.Equal(t, want, used(one))
	for _, lane := range []quota.Lane{quota.Change, quota.Read, quota.Read, quota.Prefetch} {
		require.NoError(t, other.Take(t.Context(), lane))
	}
	_, err := db.Admin.Exec(t.Context(),
		"INSERT INTO quota_ledger (spent_at, lane) VALUES (now() - interval '61 seconds', 'read')")
	require.NoError(t, err)
	want.Spent = quota.Shares{quota.Change: 1, quota.Read: 2, quota.Prefetch: 1}
	require.Equal(t, want, used(one), "of all instances, within the last 60 s")

	require.NoError(t, other.OverSpent(t.Context(), 0))
	squeezed := used(one)
	require.Equal(t, 10, squeezed.Budget, "three quarters of 14")
	require.WithinDuration(t, time.Now().Add(time.Hour), squeezed.Squeezed, time.Minute)

	gone, leave := context.WithCancel(t.Context())
	leave()
	require.False(t, one.Usage(gone).Ledger)
	db.Pool.Close()
	require.Equal(t, operations.Quota{Window: window, Floor: want.Floor}, used(one),
		"away: its floor, which opens in an hour, is all that it knows of")

	free := postgres.NewQuota(nil, quota.Unlimited(), postgres.Floor{}, &memory.Alerts{}, time.Now).Usage(t.Context())
	require.Equal(t, operations.Quota{Window: quota.Unlimited(), Budget: quota.Unlimited().Budget, Ledger: true}, free)
}

// ledger is a database server that can be stopped, crashed and started; its pools connect to its present address.
type ledger struct {
	dir string

	mu     sync.Mutex
	server *devservers.PostgreSQL
	at     string // host:port
}

func (l *ledger) start(t *testing.T) {
	t.Helper()
	server, err := devservers.StartPostgreSQL(t.Context(), devservers.PostgreSQLOptions{Dir: l.dir, Durable: true})
	require.NoError(t, err)
	config, err := pgxpool.ParseConfig(server.AdminURL())
	require.NoError(t, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server, l.at = server, net.JoinHostPort(config.ConnConfig.Host, strconv.Itoa(int(config.ConnConfig.Port)))
}

func (l *ledger) stop(t *testing.T, crash bool) {
	t.Helper()
	if crash {
		require.NoError(t, syscall.Kill(l.server.PID(), syscall.SIGQUIT)) // the next start recovers from the log
		<-l.server.Done()
	}
	_ = l.server.Stop(context.Background()) // a crash is an error here
}

// pool connects to where the server is at that time.
func (l *ledger) pool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.ConnConfig.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		l.mu.Lock()
		at := l.at
		l.mu.Unlock()
		return (&net.Dialer{}).DialContext(ctx, network, at)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	return pool
}

// admissions records when each call was requested and admitted. The k-th admission was not before the k-th request and
// not after the k-th return.
type admissions struct {
	mu              sync.Mutex
	asked, admitted []time.Time
}

// take takes one call, however long it takes, or none when ctx is over.
func (a *admissions) take(ctx context.Context, q *postgres.Quota) {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		at := time.Now()
		if q.Take(ctx, quota.Read) == nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.asked, a.admitted = append(a.asked, at), append(a.admitted, time.Now())
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// more waits for that many more calls and returns how many there were.
func (a *admissions) more(t *testing.T, n int) int {
	t.Helper()
	total := func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.admitted)
	}
	before := total()
	require.Eventually(t, func() bool { return total() >= before+n }, time.Minute, 5*time.Millisecond)
	return total() - before
}

func (a *admissions) sorted() (asked, admitted []time.Time) {
	slices.SortFunc(a.asked, time.Time.Compare)
	slices.SortFunc(a.admitted, time.Time.Compare)
	return a.asked, a.admitted
}

// TestTheBudgetHoldsThroughRestartsOfTheLedger: three instances take all they get, all the time; one after the other is
// lost and replaced; the ledger is stopped, and later crashes, and comes back. No window of time ever holds more than
// the budget, floors included.
func TestTheBudgetHoldsThroughRestartsOfTheLedger(t *testing.T) {
	t.Parallel()
	_, secrets := pgtest.Server(t)
	dir, err := devservers.TempDir("phonebill-quota-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	l := &ledger{dir: filepath.Join(dir, "postgres")}
	l.start(t)
	t.Cleanup(func() { l.stop(t, false) })
	require.NoError(t, postgres.ProvisionAs(t.Context(), l.server.AdminURL(), secrets, migrations.KOS, "ledger"))
	access, err := postgres.NewAccess(l.server.AdminURL(), secrets)
	require.NoError(t, err)
	require.NoError(t, postgres.Migrate(t.Context(), access.OwnerURLOf(migrations.KOS, "ledger"), migrations.KOS))
	url := access.AppURLOf(migrations.KOS, "ledger")

	window := quota.Window{Budget: 12, Per: 600 * time.Millisecond}
	floor := postgres.Floor{Instances: 3, Calls: 2, Lease: time.Minute}
	seen := &admissions{}
	ctx, end := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var steady atomic.Bool // no process is replaced, so that each keeps its floor
	var holding atomic.Int32
	for range floor.Instances {
		all.Go(func() {
			for ctx.Err() == nil { // one process of the instance after the other
				pool := l.pool(t, url)
				q := postgres.NewQuota(pool, window, floor, &memory.Alerts{}, time.Now)
				holds := false
				for n := 0; ctx.Err() == nil && (n < 11 || steady.Load()); n++ {
					if !holds {
						if holds, _ = q.RenewFloor(ctx); holds {
							holding.Add(1)
						}
					}
					seen.take(ctx, q)
				}
				if holds {
					holding.Add(-1)
				}
				_ = q.GiveFloorBack(context.Background())
				pool.Close()
			}
		})
	}
	for i, crash := range []bool{false, true} {
		running := seen.more(t, 2*window.Budget)
		steady.Store(true)
		require.Eventually(t, func() bool { return int(holding.Load()) == floor.Instances }, time.Minute,
			5*time.Millisecond)
		l.stop(t, crash)
		alone := seen.more(t, 2*floor.Instances*floor.Calls)
		l.start(t)
		steady.Store(false)
		t.Logf("restart %d: %d admissions before it, %d by the floors meanwhile", i+1, running, alone)
	}
	seen.more(t, 2*window.Budget)
	end()
	all.Wait()
	asked, admitted := seen.sorted()
	for k := range asked[window.Budget:] {
		apart := admitted[k+window.Budget].Sub(asked[k])
		require.GreaterOrEqual(t, apart, window.Per-time.Millisecond, "admissions %d and %d", k, k+window.Budget)
	}
}
