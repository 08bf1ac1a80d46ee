package valkey

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"phonebill/core/bill"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// lineKey names the hash of a line by its blind index, never by the number (ADR 30).
func (c *Client) lineKey(vault ports.Vault, n line.Number) string {
	return c.indexKey(vault.Index(ports.LineIndex, n.Digits()))
}

func (c *Client) indexKey(index []byte) string { return c.cfg.Namespace + ":line:v1:" + lineTag(index) }

// lineTag is the part of a key that decides its slot: all keys of a line are in one.
func lineTag(index []byte) string { return "{" + hex.EncodeToString(index[:16]) + "}" }

// lineTTL is how long a line's hash outlives its last change: no copy in it may be shown longer (S-STALE-BILL).
func lineTTL() time.Duration { return max(freshness.Bill.Hard, freshness.Customer.Hard) }

type cachedBills struct {
	next    ports.Bills
	epochs  ports.Epochs
	vault   ports.Vault
	entries entries[bill.Copy]
}

// NewCachedBills returns next with its newest bills cached. A cached Latest is one round trip to the cache and does not
// read next; it may lag where the cache has missed a put. Versions are read from next: a delivery reads each once.
// epochs are those of next.
func NewCachedBills(
	c *Client, next ports.Bills, epochs ports.Epochs, vault ports.Vault, sealer ports.Sealer[bill.Copy],
	log *slog.Logger,
) ports.Bills {
	return &cachedBills{next: next, epochs: epochs, vault: vault, entries: entries[bill.Copy]{
		client: c, kind: "bill", ttl: lineTTL(), asOf: asOfBill, seal: sealer.Seal, open: sealer.Open, log: log,
	}}
}

// asOfBill is when KOS was asked for the bill, for comparison with an epoch: none hides a bill that is final.
func asOfBill(b bill.Copy) time.Time {
	if b.Final() {
		return time.Unix(0, math.MaxInt64)
	}
	return b.AsOf
}

func billField(m calendar.Month) string { return "b" + m.Compact() }

// errMisplaced is why an entry that opens is not shown: it is of another line or month than its key.
var errMisplaced = errors.New("valkey: an entry is not of its key")

func (b *cachedBills) location(n line.Number, m calendar.Month) location[bill.Copy] {
	index := b.vault.Index(ports.LineIndex, n.Digits())
	at := sealing.Cached("bill", string(index), m.String())
	fits := func(c bill.Copy) error {
		if c.Bill.Line == n && c.Bill.Month == m {
			return nil
		}
		return b.vault.Refuse(at, errMisplaced)
	}
	return location[bill.Copy]{key: b.entries.client.indexKey(index), field: billField(m), at: at, fits: fits}
}

// Latest reads the cache, and next on a miss.
func (b *cachedBills) Latest(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	return b.entries.get(ctx, b.location(n, m), origin[bill.Copy]{
		value: func() (bill.Copy, error) { return b.next.Latest(ctx, n, m) },
		epoch: func() (time.Time, error) { return b.epochs.Of(ctx, n) },
	})
}

// LatestCommitted reads next.
func (b *cachedBills) LatestCommitted(ctx context.Context, n line.Number, m calendar.Month) (bill.Copy, error) {
	return b.next.LatestCommitted(ctx, n, m)
}

// Put stores in next first.
func (b *cachedBills) Put(ctx context.Context, c bill.Copy) error {
	if err := b.next.Put(ctx, c); err != nil {
		return err
	}
	b.entries.put(ctx, b.location(c.Bill.Line, c.Bill.Month), c)
	return nil
}

// Version reads next. While that is not available it may read the cache.
func (b *cachedBills) Version(ctx context.Context, n line.Number, m calendar.Month, version id.ID) (bill.Copy, error) {
	c, err := b.next.Version(ctx, n, m, version)
	if err == nil || errors.Is(err, fault.New(fault.ResourceNotFound)) {
		return c, err
	}
	held, failed := b.entries.read(ctx, b.location(n, m))
	if failed == nil && held.hit && held.value.Version == version {
		return held.value, nil
	}
	return c, err
}

type cachedCustomers struct {
	next    ports.Customers
	epochs  ports.Epochs
	vault   ports.Vault
	entries entries[product.CustomerCopy]
}

// NewCachedCustomers returns next cached, as NewCachedBills does. epochs are those of next.
func NewCachedCustomers(
	c *Client, next ports.Customers, epochs ports.Epochs, vault ports.Vault,
	sealer ports.Sealer[product.CustomerCopy], log *slog.Logger,
) ports.Customers {
	return &cachedCustomers{next: next, epochs: epochs, vault: vault, entries: entries[product.CustomerCopy]{
		client: c, kind: "customer", ttl: lineTTL(), asOf: func(c product.CustomerCopy) time.Time { return c.AsOf },
		seal: sealer.Seal, open: sealer.Open, log: log,
	}}
}

const customerField = "c"

func (s *cachedCustomers) location(n line.Number) location[product.CustomerCopy] {
	index := s.vault.Index(ports.LineIndex, n.Digits())
	at := sealing.Cached("customer", string(index))
	fits := func(c product.CustomerCopy) error {
		if c.Customer.Line == n {
			return nil
		}
		return s.vault.Refuse(at, errMisplaced)
	}
	return location[product.CustomerCopy]{key: s.entries.client.indexKey(index), field: customerField, at: at, fits: fits}
}

// Latest reads the cache, and next on a miss.
func (s *cachedCustomers) Latest(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	return s.entries.get(ctx, s.location(n), origin[product.CustomerCopy]{
		value: func() (product.CustomerCopy, error) { return s.next.Latest(ctx, n) },
		epoch: func() (time.Time, error) { return s.epochs.Of(ctx, n) },
	})
}

// LatestCommitted reads next.
func (s *cachedCustomers) LatestCommitted(ctx context.Context, n line.Number) (product.CustomerCopy, error) {
	return s.next.LatestCommitted(ctx, n)
}

// Put stores in next first.
func (s *cachedCustomers) Put(ctx context.Context, c product.CustomerCopy) error {
	if err := s.next.Put(ctx, c); err != nil {
		return err
	}
	s.entries.put(ctx, s.location(c.Customer.Line), c)
	return nil
}

type cachedMonths struct {
	next    ports.BillMonths
	vault   ports.Vault
	entries entries[bill.MonthsCopy]
}

// NewCachedBillMonths returns next cached for ttl, as NewCachedBills does. No epoch hides an entry, so that it has a
// key of its own beside the hash of its line.
func NewCachedBillMonths(
	c *Client, next ports.BillMonths, vault ports.Vault, sealer ports.Sealer[bill.MonthsCopy], ttl time.Duration,
	log *slog.Logger,
) ports.BillMonths {
	return &cachedMonths{next: next, vault: vault, entries: entries[bill.MonthsCopy]{
		client: c, kind: "months", ttl: ttl, asOf: func(m bill.MonthsCopy) time.Time { return m.AsOf },
		seal: sealer.Seal, open: sealer.Open, log: log,
	}}
}

const monthsField = "m"

func (s *cachedMonths) location(n line.Number) location[bill.MonthsCopy] {
	index := s.vault.Index(ports.LineIndex, n.Digits())
	at := sealing.Cached("months", string(index))
	fits := func(c bill.MonthsCopy) error {
		if c.Line == n {
			return nil
		}
		return s.vault.Refuse(at, errMisplaced)
	}
	key := s.entries.client.cfg.Namespace + ":months:v1:" + lineTag(index)
	return location[bill.MonthsCopy]{key: key, field: monthsField, at: at, fits: fits}
}

// Latest reads the cache, and next on a miss.
func (s *cachedMonths) Latest(ctx context.Context, n line.Number) (bill.MonthsCopy, error) {
	return s.entries.get(ctx, s.location(n), origin[bill.MonthsCopy]{
		value: func() (bill.MonthsCopy, error) { return s.next.Latest(ctx, n) },
	})
}

// LatestCommitted reads next.
func (s *cachedMonths) LatestCommitted(ctx context.Context, n line.Number) (bill.MonthsCopy, error) {
	return s.next.LatestCommitted(ctx, n)
}

// Put stores in next first.
func (s *cachedMonths) Put(ctx context.Context, c bill.MonthsCopy) error {
	if err := s.next.Put(ctx, c); err != nil {
		return err
	}
	s.entries.put(ctx, s.location(c.Line), c)
	return nil
}

type cachedPlans struct {
	next    ports.Plans
	key     string
	entries entries[product.PlansCopy]
}

// NewCachedPlans returns next cached, as NewCachedBills does.
func NewCachedPlans(c *Client, next ports.Plans, sealer ports.Sealer[product.PlansCopy], log *slog.Logger) ports.Plans {
	return &cachedPlans{next: next, key: c.cfg.Namespace + ":plans:v1:" + plansTag, entries: entries[product.PlansCopy]{
		client: c, kind: "plans", ttl: freshness.PlanList.Hard, asOf: func(p product.PlansCopy) time.Time { return p.AsOf },
		seal: sealer.Seal, open: sealer.Open, log: log,
	}}
}

const (
	plansTag   = "{all}"
	plansField = "p"
)

func (p *cachedPlans) location() location[product.PlansCopy] {
	return location[product.PlansCopy]{key: p.key, field: plansField, at: sealing.Cached("plans", "all")}
}

// Latest reads the cache, and next on a miss.
func (p *cachedPlans) Latest(ctx context.Context) (product.PlansCopy, error) {
	return p.entries.get(ctx, p.location(), origin[product.PlansCopy]{
		value: func() (product.PlansCopy, error) { return p.next.Latest(ctx) },
	})
}

// LatestCommitted reads next.
func (p *cachedPlans) LatestCommitted(ctx context.Context) (product.PlansCopy, error) {
	return p.next.LatestCommitted(ctx)
}

// Put stores in next first.
func (p *cachedPlans) Put(ctx context.Context, c product.PlansCopy) error {
	if err := p.next.Put(ctx, c); err != nil {
		return err
	}
	p.entries.put(ctx, p.location(), c)
	return nil
}

type cachedEpochs struct {
	next    ports.Epochs
	vault   ports.Vault
	entries entries[struct{}]
}

// NewCachedEpochs returns next; a raise deletes what the cache holds of the line.
func NewCachedEpochs(c *Client, next ports.Epochs, vault ports.Vault, log *slog.Logger) ports.Epochs {
	return &cachedEpochs{next: next, vault: vault, entries: entries[struct{}]{
		client: c, kind: "epoch", ttl: lineTTL(), log: log,
	}}
}

// Raise raises the durable epoch first: a copy that is read from the store afterwards is compared with it. While the
// cache is not reachable, other processes may reach it and show what it holds until they have pulled the raised epochs
// (Raises): Raise blocks until then, so that a customer who knows of a change is not shown an older value (ADR 6). When
// ctx ends before, the epoch is raised all the same, but Raise returns an error: other processes may still show older
// values.
func (e *cachedEpochs) Raise(ctx context.Context, n line.Number, at time.Time) error {
	if err := e.next.Raise(ctx, n, at); err != nil {
		return err
	}
	if e.entries.drop(ctx, e.entries.client.lineKey(e.vault, n), drop{epoch: stamp(at), ttl: e.entries.ttl}) == nil {
		return nil
	}
	pulled := time.NewTimer(PulledWithin)
	defer pulled.Stop()
	select {
	case <-pulled.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("valkey: raise epoch: %w", ctx.Err())
	}
}

// Of reads next: the cache does not hold all epochs.
func (e *cachedEpochs) Of(ctx context.Context, n line.Number) (time.Time, error) {
	return e.next.Of(ctx, n)
}
