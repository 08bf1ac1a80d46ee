package productchange

import (
	"context"
	"time"

	"phonebill/adapters/logsink"
	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/product/change"
)

// Notices to customers: one attempt may take 5 s; the notices of an instance that died are sent by another one after
// the lease.
const (
	noticeTimeout = 5 * time.Second
	noticeLease   = 30 * time.Second
	noticesAtOnce = 16
)

// notifyCustomers adds the worker that notifies customers of how their changes ended.
func notifyCustomers(b *service.Builder, at stores.Stores) {
	s := &change.Notifications{
		Notices: postgres.NewNotices(at.Pool, at.Keyring), Notifier: logsink.NewNotifier(b.Log), Now: b.Now,
		Random: b.Random, Lease: noticeLease, Attempt: noticeTimeout,
	}
	b.Worker("customer-notices", service.IdleInterval, func(ctx context.Context) (int, error) {
		return s.Step(ctx, noticesAtOnce)
	})
}
