package memory_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/audit"
	"phonebill/core/bill"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestUsers(t *testing.T) {
	t.Parallel()
	portstest.Users(t, func(*testing.T) ports.Users { return &memory.Users{} })
}

func TestGuesses(t *testing.T) {
	t.Parallel()
	portstest.Guesses(t, func(*testing.T) ports.Guesses { return &memory.Guesses{} })
}

func TestSessions(t *testing.T) {
	t.Parallel()
	portstest.Sessions(t, func(*testing.T) ports.Sessions { return &memory.Sessions{} })
}

func TestRevocationFeed(t *testing.T) {
	t.Parallel()
	portstest.RevocationFeed(t, func(*testing.T) (ports.Users, ports.Sessions, ports.SigningKeys, ports.RevocationFeed) {
		feed := &memory.Revocations{Users: &memory.Users{}, Sessions: &memory.Sessions{}, Keys: &memory.SigningKeys{}}
		return feed.Users, feed.Sessions, feed.Keys, feed
	})
}

func TestLoginHistory(t *testing.T) {
	t.Parallel()
	portstest.LoginHistory(t, func(*testing.T) (ports.LoginHistory, func() int) {
		history := &memory.LoginHistory{}
		return history, func() int { return len(history.Events()) }
	})
}

func TestSigningKeys(t *testing.T) {
	t.Parallel()
	portstest.SigningKeys(t, func(*testing.T) ports.SigningKeys { return &memory.SigningKeys{} })
}

func TestBills(t *testing.T) {
	t.Parallel()
	portstest.Bills(t, func(*testing.T) (ports.Bills, ports.Epochs) {
		epochs := &memory.Epochs{}
		return &memory.Bills{Epochs: epochs}, epochs
	})
}

func TestInquiries(t *testing.T) {
	t.Parallel()
	portstest.Inquiries(t, func(*testing.T) ports.Inquiries { return &memory.Inquiries{} })
}

func TestDeliveredInquiries(t *testing.T) {
	t.Parallel()
	portstest.DeliveredInquiries(t,
		func(*testing.T) (ports.Inquiries, ports.InquiryBatches, ports.Outbox[ports.BillResult]) {
			s := &memory.Inquiries{Bills: &memory.Bills{}}
			return s, s, s.Outbox()
		})
}

func TestInquiryBatches(t *testing.T) {
	t.Parallel()
	portstest.InquiryBatches(t, func(*testing.T) (ports.Inquiries, ports.InquiryBatches) {
		s := &memory.Inquiries{}
		return s, s
	})
}

func TestBillOutbox(t *testing.T) {
	t.Parallel()
	portstest.Outbox(t, func(*testing.T) portstest.OutboxFixture[ports.BillResult] {
		bills := &memory.Bills{}
		inquiries := &memory.Inquiries{Bills: bills}
		return portstest.BillOutbox(inquiries.Outbox(), bills, inquiries)
	})
}

func TestOrders(t *testing.T) {
	t.Parallel()
	portstest.Orders(t, func(*testing.T) ports.Orders { return &memory.Orders{} })
}

func TestRequests(t *testing.T) {
	t.Parallel()
	portstest.RequestStore(t, func(*testing.T) (ports.RequestStore, ports.Outbox[ports.RequestResult]) {
		s := &memory.Requests{}
		return s, s.Outbox()
	})
}

func TestChangeOutbox(t *testing.T) {
	t.Parallel()
	portstest.Outbox(t, func(*testing.T) portstest.OutboxFixture[ports.ChangeResult] {
		orders := &memory.Orders{}
		return portstest.ChangeOutbox(orders.Outbox(), orders)
	})
}

func TestParkedOrders(t *testing.T) {
	t.Parallel()
	portstest.ParkedOrders(t, func(*testing.T) portstest.Parking {
		orders := &memory.Orders{}
		return portstest.Parking{Parked: orders.Parked(), Orders: orders, Outbox: orders.Outbox()}
	})
}

func TestNotices(t *testing.T) {
	t.Parallel()
	portstest.Notices(t, func(*testing.T) (ports.Notices, ports.Orders) {
		orders := &memory.Orders{}
		return orders.Notices(), orders
	})
}

func TestNotifier(t *testing.T) {
	t.Parallel()
	portstest.Notifier(t, func(*testing.T) (ports.Notifier, func(id.ID) int) {
		n := &memory.Notifier{}
		return n, func(order id.ID) (count int) {
			for _, o := range n.Notified() {
				if o.ID == order {
					count++
				}
			}
			return count
		}
	})
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	portstest.Customers(t, func(*testing.T) (ports.Customers, ports.Epochs) {
		epochs := &memory.Epochs{}
		return &memory.Customers{Epochs: epochs}, epochs
	})
}

func TestBillMonths(t *testing.T) {
	t.Parallel()
	portstest.BillMonths(t, func(*testing.T) ports.BillMonths { return &memory.BillMonths{} })
}

func TestPlans(t *testing.T) {
	t.Parallel()
	portstest.Plans(t, func(*testing.T) ports.Plans { return &memory.Plans{} })
}

func TestEpochs(t *testing.T) {
	t.Parallel()
	portstest.Epochs(t, func(*testing.T) ports.Epochs { return &memory.Epochs{} })
	portstest.RaisedEpochs(t, func(*testing.T) (ports.Epochs, ports.RaisedEpochs, ports.Vault) {
		epochs := &memory.Epochs{}
		return epochs, epochs, memory.Vault{}
	})
}

func TestQuota(t *testing.T) {
	t.Parallel()
	open := func(_ *testing.T, w quota.Window) []ports.Quota {
		return []ports.Quota{&memory.Quota{Window: w, Now: time.Now}}
	}
	portstest.Quota(t, open)
	portstest.QuotaLanes(t, open)
}

func TestCallLog(t *testing.T) {
	t.Parallel()
	portstest.CallLog(t, func(*testing.T) (ports.CallLog, func() []audit.Call) {
		log := &memory.CallLog{}
		return log, func() (out []audit.Call) {
			for _, c := range log.Calls() {
				out = append(out, audit.Call{
					ID: c.ID, Operation: c.Operation, Attempt: c.Attempt, Breaker: c.Breaker, Result: c.Result,
					HTTPStatus: c.HTTPStatus,
				})
			}
			return out
		}
	})
}

func TestVault(t *testing.T) {
	t.Parallel()
	portstest.Vault(t, func(*testing.T) ports.Vault { return memory.Vault{} })
}

func TestSealers(t *testing.T) {
	t.Parallel()
	portstest.Sealer(t, func(*testing.T) ports.Sealer[bill.Copy] { return &memory.Sealer[bill.Copy]{} },
		portstest.BillCopies()...)
	portstest.Sealer(t,
		func(*testing.T) ports.Sealer[product.CustomerCopy] { return &memory.Sealer[product.CustomerCopy]{} },
		portstest.CustomerCopies()...)
	portstest.Sealer(t, func(*testing.T) ports.Sealer[product.PlansCopy] { return &memory.Sealer[product.PlansCopy]{} },
		portstest.PlansCopies()...)
}

func TestSecondFactors(t *testing.T) {
	t.Parallel()
	portstest.SecondFactors(t, func(t *testing.T) (ports.SecondFactors, ports.Users) {
		t.Helper()
		users := &memory.Users{}
		require.NoError(t, users.Create(t.Context(), portstest.Owner()))
		return &memory.SecondFactors{Users: users}, users
	})
}

func TestOneTimeCodes(t *testing.T) {
	t.Parallel()
	codes := &memory.OneTimeCodes{}
	portstest.OneTimeCodes(t, codes,
		func(_ personal.Secret, step int64) personal.Secret { return codes.Code(time.Unix(step*30, 0)) })
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	portstest.IdempotencyKeys(t, func(*testing.T) ports.IdempotencyKeys { return &memory.IdempotencyKeys{} })
}

func TestReconciliationSource(t *testing.T) {
	t.Parallel()
	portstest.ReconciliationSource(t, func(*testing.T) portstest.Reconciliation {
		orders := &memory.Orders{}
		return portstest.Reconciliation{Source: orders.ReconciliationSource(), Orders: orders, Outbox: orders.Outbox()}
	})
}

func TestReconciliationRuns(t *testing.T) {
	t.Parallel()
	portstest.ReconciliationRuns(t, func(*testing.T) portstest.Running {
		return portstest.Running{Runs: &memory.ReconciliationRuns{}, Orders: &memory.Orders{}}
	})
}
