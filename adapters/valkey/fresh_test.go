package valkey_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/ports"
)

// countedBills counts the reads of a store.
type countedBills struct {
	ports.Bills
	reads int
	hangs bool
}

func (b *countedBills) Latest(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	b.reads++
	if b.hangs {
		<-ctx.Done()
		return bill.Copy{}, ctx.Err()
	}
	return b.Bills.Latest(ctx, n, m)
}

// aging connects with a clock at the bill's age, for bills that are fresh for an hour.
func (c *cache) aging(t *testing.T, age *time.Duration) *valkey.Client {
	t.Helper()
	return c.connect(t, func(cfg *valkey.Config) {
		cfg.Metrics = c.metrics
		cfg.Fresh = valkey.Fresh{Bills: time.Hour, Now: func() time.Time { return copyAt(1).AsOf.Add(*age) }}
	})
}

// TestACacheThatMissedANewCopy: another process has stored a new copy, but the cache still holds the old one. It is not
// returned once it is not fresh any more, so that KOS is not asked for what the store holds.
func TestACacheThatMissedANewCopy(t *testing.T) {
	t.Parallel()
	c, age := open(t), time.Duration(0)
	stored := &countedBills{Bills: &memory.Bills{}}
	bills := valkey.NewCachedBills(c.aging(t, &age), stored, &memory.Epochs{}, c.vault, vault.Bills(c.vault), c.log)
	_, _ = latest(t, bills) // the cache learns the epoch
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	require.NoError(t, stored.Put(t.Context(), copyAt(2)))
	before := stored.reads
	requireLatest(t, copyAt(1), bills)
	require.Equal(t, before, stored.reads, "a fresh copy costs no read of the store")

	age = 2 * time.Hour
	requireLatest(t, copyAt(2), bills)
	require.Equal(t, before+1, stored.reads)
	age = time.Minute
	requireLatest(t, copyAt(2), bills)
	require.Equal(t, before+1, stored.reads, "it is cached now")
}

// TestAnOldCachedCopyOutlivesAStoreThatHangs, and is not held up by it for long.
func TestAnOldCachedCopyOutlivesAStoreThatHangs(t *testing.T) {
	t.Parallel()
	c, age := open(t), 2*time.Hour
	stored := &countedBills{Bills: &memory.Bills{}}
	bills := valkey.NewCachedBills(c.aging(t, &age), stored, &memory.Epochs{}, c.vault, vault.Bills(c.vault), c.log)
	_, _ = latest(t, bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	stored.hangs = true
	began := time.Now()
	requireLatest(t, copyAt(1), bills)
	require.Less(t, time.Since(began), 2*time.Second)
}

// TestAnOldCachedCopyThatTheStoreHides: an epoch that the cache has not learnt yet hides it.
func TestAnOldCachedCopyThatTheStoreHides(t *testing.T) {
	t.Parallel()
	c, age := open(t), 2*time.Hour
	epochs := &memory.Epochs{}
	bills := valkey.NewCachedBills(
		c.aging(t, &age), &memory.Bills{Epochs: epochs}, epochs, c.vault, vault.Bills(c.vault), c.log)
	_, _ = latest(t, bills)
	require.NoError(t, bills.Put(t.Context(), copyAt(1)))
	requireLatest(t, copyAt(1), bills)
	require.NoError(t, epochs.Raise(t.Context(), one(), copyAt(2).AsOf))
	_, err := latest(t, bills)
	require.ErrorIs(t, err, fault.New(fault.ResourceNotFound))
}
