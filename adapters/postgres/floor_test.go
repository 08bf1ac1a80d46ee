package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/postgres"
	"phonebill/adapters/postgres/pgtest"
	"phonebill/core/quota"
	"phonebill/migrations"
	"phonebill/ports"
)

// floors are instances with one database and clocks that the test sets. Age makes the database's leases older, so that
// the test need not wait.
type floors struct {
	t      *testing.T
	db     *pgtest.DB
	now    time.Time
	window quota.Window
	floor  postgres.Floor
}

func openFloors(t *testing.T) *floors {
	t.Helper()
	return &floors{
		t: t, db: pgtest.New(t, migrations.KOS), now: time.Now(), window: quota.Window{Budget: 10, Per: time.Minute},
		floor: postgres.Floor{Instances: 2, Calls: 3, Lease: 10 * time.Minute},
	}
}

func (f *floors) instance() *postgres.Quota {
	return postgres.NewQuota(f.db.Pool, f.window, f.floor, &memory.Alerts{}, func() time.Time { return f.now })
}

func (f *floors) renew(q *postgres.Quota) bool {
	f.t.Helper()
	held, err := q.RenewFloor(f.t.Context())
	require.NoError(f.t, err)
	return held
}

// age lets time pass for the leases in the database and for the instances.
func (f *floors) age(d time.Duration) {
	f.t.Helper()
	_, err := f.db.Admin.Exec(f.t.Context(), `UPDATE floor_leases SET granted_at = granted_at - make_interval(secs => $1),
		expires_at = expires_at - make_interval(secs => $1)`, d.Seconds())
	require.NoError(f.t, err)
	f.now = f.now.Add(d)
}

// ledger returns how many calls the ledger has left, and spends them.
func (f *floors) ledger(q *postgres.Quota) (n int) {
	for q.Take(f.t.Context(), quota.Read) == nil {
		n++
	}
	return n
}

func TestTheBudgetFollowsTheLeases(t *testing.T) {
	t.Parallel()
	f := openFloors(t)
	a, b, c := f.instance(), f.instance(), f.instance()
	leased := func() int { return c.Usage(t.Context()).Leased }
	require.Zero(t, leased())
	require.True(t, f.renew(a))
	require.True(t, f.renew(b))
	require.False(t, f.renew(c), "there are two places")
	require.Zero(t, c.Usage(t.Context()).Floor)
	require.Equal(t, 6, leased())
	require.Equal(t, 4, f.ledger(c))

	f.age(9 * time.Minute)
	require.True(t, f.renew(a), "one that renews keeps its place")
	f.age(2*time.Minute - time.Second) // b's lease has expired, the window after it is not quite over
	require.Zero(t, b.Usage(t.Context()).Floor, "by its own clock")
	require.False(t, f.renew(c))
	require.Equal(t, 6, leased())
	f.age(2 * time.Second)
	require.Equal(t, 3, leased())
	require.True(t, f.renew(c))
	require.Equal(t, 2, count(t, f.db.Pool, "floor_leases"), "that of b is deleted")
	require.False(t, f.renew(b), "its place was given out again")
}

func TestAFloorThatIsGivenBackIsFreeAfterAWindow(t *testing.T) {
	t.Parallel()
	f := openFloors(t)
	f.floor.Instances = 1
	a, b := f.instance(), f.instance()
	require.NoError(t, b.GiveFloorBack(t.Context()), "it has none")
	b = f.instance()
	require.True(t, f.renew(a))
	f.age(2 * time.Minute)
	require.NoError(t, a.GiveFloorBack(t.Context()))
	require.Zero(t, a.Usage(t.Context()).Floor)
	require.True(t, f.renew(a), "nothing is asked for any more")
	require.False(t, f.renew(b))
	f.age(time.Minute - time.Second)
	require.False(t, f.renew(b))
	require.Equal(t, 3, b.Usage(t.Context()).Leased)
	f.age(2 * time.Second)
	require.True(t, f.renew(b))
}

// TestAHolderWithoutItsRowSpendsNothingMore: its place may belong to another by the time it asks again.
func TestAHolderWithoutItsRowSpendsNothingMore(t *testing.T) {
	t.Parallel()
	f := openFloors(t)
	f.floor.Instances = 1
	a, b := f.instance(), f.instance()
	require.True(t, f.renew(a))
	f.age(5 * time.Minute)
	away, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.RenewFloor(away)
	require.Error(t, err)
	require.Equal(t, 3, a.Usage(t.Context()).Floor.Calls, "a renewal that fails takes nothing away")

	_, err = f.db.Admin.Exec(t.Context(), "DELETE FROM floor_leases")
	require.NoError(t, err)
	require.True(t, f.renew(b))
	require.False(t, f.renew(a))
	require.Zero(t, a.Usage(t.Context()).Floor)
	f.db.Pool.Close()
	require.ErrorIs(t, a.Take(t.Context(), quota.Change), ports.ErrNotAsked)
}

// TestANewGrantOpensAWindowLater: a holder whose row was lost and who gets a lease again does not go on at once.
func TestANewGrantOpensAWindowLater(t *testing.T) {
	t.Parallel()
	f := openFloors(t)
	a := f.instance()
	require.True(t, f.renew(a))
	f.age(5 * time.Minute)
	_, err := f.db.Admin.Exec(t.Context(), "DELETE FROM floor_leases")
	require.NoError(t, err)
	require.True(t, f.renew(a))
	f.db.Pool.Close()
	require.ErrorIs(t, a.Take(t.Context(), quota.Change), ports.ErrNotAsked)
	f.now = f.now.Add(time.Minute)
	require.NoError(t, a.Take(t.Context(), quota.Change))
}

// TestTheReleaseBeforeHasTheBudgetToo: while it runs beside this one, its fixed floors are all that exceeds the budget,
// and by default KOS allows as many.
func TestTheReleaseBeforeHasTheBudgetToo(t *testing.T) {
	t.Parallel()
	f := openFloors(t)
	f.window, f.floor = quota.Default(), postgres.Floor{Instances: 4, Calls: 1, Lease: 10 * time.Minute}
	var own []*postgres.Quota
	for range 4 {
		own = append(own, f.instance())
		require.True(t, f.renew(own[len(own)-1]))
	}
	// That release spends all that it may of the ledger, and knows no leases.
	before, fixed := f.window.Apart(f.floor.Instances, f.floor.Calls)
	_, err := f.db.Pool.Exec(t.Context(), `INSERT INTO quota_ledger (spent_at, lane)
		SELECT now(), CASE WHEN i <= 20 THEN 'change' WHEN i <= 25 THEN 'refresh' ELSE 'read' END
		FROM generate_series(1, $1::bigint) i`, before.Budget)
	require.NoError(t, err)
	require.Zero(t, f.ledger(own[0]), "each sees the other's calls")
	total := before.Budget
	f.age(2 * time.Minute)
	f.db.Pool.Close()
	for _, q := range own {
		total += f.ledger(q)
	}
	total += f.floor.Instances * fixed // what the processes of the release before spend without the ledger
	require.Equal(t, 99, total)
}
